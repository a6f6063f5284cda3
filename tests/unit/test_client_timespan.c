/* Parsing seconds, and polling until a monotonic time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "client/timespan.h"

#define MINIMUM CLOCK_MILLISECOND
#define MAXIMUM (3600 * CLOCK_SECOND)

struct seconds_case {
	const char *text;
	int64_t span; /* 0: an error */
};

static const struct seconds_case seconds_cases[] = {
	{ "5", 5 * CLOCK_SECOND },
	{ "005", 5 * CLOCK_SECOND },
	{ "0.5", 500 * CLOCK_MILLISECOND },
	{ ".5", 500 * CLOCK_MILLISECOND },
	{ "0.001", MINIMUM },
	{ "0.0010", MINIMUM },
	{ "0.0009999999999", 0 },
	{ "1.123456789", INT64_C(1123456789) },
	{ "1.1234567899", INT64_C(1123456789) },
	{ "1.00000000000000000000000000000001", CLOCK_SECOND },
	{ "3600", MAXIMUM },
	{ "3600.0", MAXIMUM },
	{ "3600.000000001", 0 },
	{ "3601", 0 },
	{ "18446744073709551621", 0 },
	{ "99999999999999999999999999999999999999999", 0 },
	{ "0", 0 },
	{ "0.0", 0 },
	{ "", 0 },
	{ ".", 0 },
	{ "5.", 0 },
	{ "5..5", 0 },
	{ "5.5.5", 0 },
	{ "-5", 0 },
	{ "+5", 0 },
	{ " 5", 0 },
	{ "5 ", 0 },
	{ "5s", 0 },
	{ "5,5", 0 },
	{ "1e3", 0 },
	{ "0x5", 0 },
	{ "inf", 0 },
	{ "nan", 0 },
};

static void parses_seconds(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(seconds_cases) / sizeof(seconds_cases[0]); i++) {
		const struct seconds_case *seconds = &seconds_cases[i];
		int64_t span = 0;
		bool accepted = timespan_parse(seconds->text, MINIMUM, MAXIMUM, &span);

		assert_int_equal(accepted, seconds->span != 0);
		assert_int_equal(span, seconds->span);
	}
}

static void converts_to_timespec(void **state)
{
	struct timespec split = timespan_to_timespec(3 * CLOCK_SECOND + 7);

	(void)state;
	assert_int_equal(split.tv_sec, 3);
	assert_int_equal(split.tv_nsec, 7);
}

static void polls_until_time(void **state)
{
	int64_t until = clock_monotonic() + 20 * CLOCK_MILLISECOND;

	(void)state;
	assert_int_equal(timespan_poll(NULL, 0, until), 0);
	assert_true(clock_monotonic() >= until);
}

static void polls_ready_descriptor_after_time(void **state)
{
	int ends[2];
	struct pollfd writable = { .events = POLLOUT };

	(void)state;
	assert_int_equal(pipe(ends), 0);
	writable.fd = ends[1];
	assert_int_equal(timespan_poll(&writable, 1, clock_monotonic() - CLOCK_SECOND), 1);
	assert_int_equal(close(ends[0]), 0);
	assert_int_equal(close(ends[1]), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parses_seconds),
		cmocka_unit_test(converts_to_timespec),
		cmocka_unit_test(polls_until_time),
		cmocka_unit_test(polls_ready_descriptor_after_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
