/* Times and spans in NTP format: exact values.
 *
 *   63            32 31             0
 *  +----------------+----------------+
 *  | seconds since  | fraction of a  |   the seconds wrap every 136 years, for the first time at
 *  | 1900-01-01     | second         |   2036-02-07 06:28:16 UTC
 *  +----------------+----------------+
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "clock/clock.h"

static void times_in_every_era(void **state)
{
	static const struct {
		int64_t seconds;
		long nanoseconds;
		clock_ntp_time expected;
	} rows[] = {
		{ 0, 0, 0x83aa7e8000000000 }, /* 1970-01-01 */
		{ 0, 1, 0x83aa7e8000000004 },
		{ 0, 500000000, 0x83aa7e8080000000 },
		{ 0, 999999999, 0x83aa7e80fffffffb },
		{ -1, 999999999, 0x83aa7e7ffffffffb },
		{ -2208988800, 0, 0 }, /* 1900-01-01 */
		{ -2208988801, 0, 0xffffffff00000000 },
		{ 1795374908, 250000000, 0xeeadbdbc40000000 },
		{ 2085978495, 0, 0xffffffff00000000 }, /* 2036-02-07 06:28:15 */
		{ 2085978495, 999999999, 0xfffffffffffffffb },
		{ 2085978496, 0, 0 },
		{ 2085978496, 1, 4 },
		{ 2085978497, 0, 0x0000000100000000 },
		{ 2147483647, 0, 0x03aa7e7f00000000 }, /* 2038-01-19 03:14:07 */
		{ 2147483648, 0, 0x03aa7e8000000000 },
		{ 253402300799, 0, 0x839ebfff00000000 }, /* the end of the year 9999 */
		{ 253402300800, 0, 0x839ec00000000000 },
		{ INT64_MAX, 999999999, 0x83aa7e7ffffffffb },
		{ INT64_MIN, 0, 0x83aa7e8000000000 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct timespec time = { .tv_sec = rows[i].seconds,
					       .tv_nsec = rows[i].nanoseconds };

		assert_int_equal(clock_to_ntp(&time), rows[i].expected);
	}
}

static void differences_cross_the_wrap(void **state)
{
	const struct timespec before = { .tv_sec = 2085978495, .tv_nsec = 900000000 };
	const struct timespec after = { .tv_sec = 2085978496, .tv_nsec = 100000000 };
	clock_ntp_span span = (clock_ntp_span)(clock_to_ntp(&after) - clock_to_ntp(&before));

	(void)state;
	assert_in_range(clock_span_from_ntp(span), 199999999, 200000001);
	assert_in_range(-clock_span_from_ntp(-span), 199999999, 200000001);
}

static void spans_are_converted_both_ways(void **state)
{
	static const struct {
		int64_t nanoseconds;
		clock_ntp_span expected;
		int64_t back; /* both conversions round towards zero */
	} rows[] = {
		{ 0, 0, 0 },
		{ 1, 4, 0 },
		{ -1, -4, 0 },
		{ 1000, 4294, 999 },
		{ 500000000, INT64_C(1) << 31, 500000000 },
		{ CLOCK_SECOND, INT64_C(1) << 32, CLOCK_SECOND },
		{ -CLOCK_SECOND, -(INT64_C(1) << 32), -CLOCK_SECOND },
		{ -1500000000, -(INT64_C(3) << 31), -1500000000 },
		{ 128 * CLOCK_MILLISECOND, 549755813, 127999999 },
		{ 2147483647 * CLOCK_SECOND, INT64_C(2147483647) << 32, 2147483647 * CLOCK_SECOND },
		{ -2147483647 * CLOCK_SECOND, -(INT64_C(2147483647) << 32),
		  -2147483647 * CLOCK_SECOND },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(clock_span_to_ntp(rows[i].nanoseconds), rows[i].expected);
		assert_int_equal(clock_span_from_ntp(rows[i].expected), rows[i].back);
	}
}

static void extreme_spans(void **state)
{
	(void)state;
	assert_int_equal(clock_span_from_ntp(INT64_MAX), 2147483647999999999);
	assert_int_equal(clock_span_from_ntp(INT64_MIN), -2147483648000000000);
	assert_int_equal(clock_span_from_ntp(1), 0);
	assert_int_equal(clock_span_from_ntp(-1), 0);
	assert_int_equal(clock_span_from_ntp(5), 1);
	assert_int_equal(clock_span_from_ntp(-5), -1);
}

/* Converted there and back, a span differs by one nanosecond at most. */
static void random_spans_convert_there_and_back(void **state)
{
	(void)state;
	srandom(5905);
	for (int i = 0; i < 100000; i++) {
		int64_t span = (((int64_t)random() << 31 | random()) % 2000000000000000000) *
			       (i % 2 ? 1 : -1);
		int64_t back = clock_span_from_ntp(clock_span_to_ntp(span));

		assert_true(back == span || back == span + (span < 0 ? 1 : -1));
	}
}

static void the_clocks_are_read(void **state)
{
	struct timespec now;
	clock_ntp_span elapsed;
	int64_t before = clock_monotonic();

	(void)state;
	clock_gettime(CLOCK_REALTIME, &now);
	elapsed = (clock_ntp_span)(clock_read_ntp() - clock_to_ntp(&now));
	assert_in_range(clock_span_from_ntp(elapsed), 0, 60 * CLOCK_SECOND);
	assert_true(clock_monotonic() >= before);
	clock_gettime(CLOCK_MONOTONIC, &now);
	assert_in_range(now.tv_sec * CLOCK_SECOND + now.tv_nsec - before, 0, 60 * CLOCK_SECOND);
}

static void precision_is_plausible(void **state)
{
	int8_t precision = clock_measure_precision();

	(void)state;
	assert_true(precision >= -30);
	assert_true(precision <= -6);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(times_in_every_era),
		cmocka_unit_test(differences_cross_the_wrap),
		cmocka_unit_test(spans_are_converted_both_ways),
		cmocka_unit_test(extreme_spans),
		cmocka_unit_test(random_spans_convert_there_and_back),
		cmocka_unit_test(the_clocks_are_read),
		cmocka_unit_test(precision_is_plausible),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
