/* Daytime, RFC 867: exact bytes.
 *
 *   offset  0    4    8  11       20    24 25
 *          "Sun Nov 22 19:15:08 2026 CR LF"    26 bytes, always
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "protocol/protocol.h"

/* The reply at a second of UTC, as a string. */
static const char *reply_at(int64_t seconds, size_t room)
{
	static char text[PROTOCOL_REPLY_MAX + 1];
	struct clock_second now = { .seconds = seconds };
	struct protocol_request request = { .now = &now };
	struct bytes_writer writer = bytes_writer_open(text, room);

	now.valid = gmtime_r(&now.seconds, &now.local) != NULL;
	memset(text, 0, sizeof(text));
	daytime_reply(&request, &writer);
	text[bytes_written(&writer)] = '\0';
	return text;
}

static void exact_bytes(void **state)
{
	static const struct {
		int64_t seconds;
		const char *expected;
	} rows[] = {
		{ 1795374908, "Sun Nov 22 19:15:08 2026\r\n" },
		{ 0, "Thu Jan  1 00:00:00 1970\r\n" },
		{ -1, "Wed Dec 31 23:59:59 1969\r\n" },
		{ 2085978495, "Thu Feb  7 06:28:15 2036\r\n" }, /* the last second of NTP era 0 */
		{ 2085978496, "Thu Feb  7 06:28:16 2036\r\n" },
		{ 2147483647,
		  "Tue Jan 19 03:14:07 2038\r\n" }, /* the last one of a signed 32-bit time */
		{ 2147483648, "Tue Jan 19 03:14:08 2038\r\n" },
		{ 1709164800, "Thu Feb 29 00:00:00 2024\r\n" },
		{ 253402300799, "Fri Dec 31 23:59:59 9999\r\n" },
		{ -30610224000, "Wed Jan  1 00:00:00 1000\r\n" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_string_equal(reply_at(rows[i].seconds, PROTOCOL_REPLY_MAX),
				    rows[i].expected);
}

static void no_reply_outside_of_four_digit_years(void **state)
{
	(void)state;
	assert_string_equal(reply_at(253402300800, PROTOCOL_REPLY_MAX), ""); /* the year 10000 */
	assert_string_equal(reply_at(-30610224001, PROTOCOL_REPLY_MAX), ""); /* the year 999 */
	assert_string_equal(reply_at(INT64_MAX, PROTOCOL_REPLY_MAX), "");    /* no calendar date */
	assert_string_equal(reply_at(INT64_MIN, PROTOCOL_REPLY_MAX), "");
}

static void no_partial_reply(void **state)
{
	(void)state;
	for (size_t room = 0; room < 26; room++)
		assert_string_equal(reply_at(0, room), "");
	assert_int_equal(strlen(reply_at(0, 26)), 26);
}

/* For random seconds of 9,000 years. */
static void random_seconds_agree_with_the_c_library(void **state)
{
	char expected[64];
	struct tm calendar;
	int64_t seconds;

	(void)state;
	srandom(867);
	for (int i = 0; i < 100000; i++) {
		seconds = -30610224000 + (((int64_t)random() << 31) | random()) % 284012524800;
		assert_non_null(gmtime_r(&(time_t){ seconds }, &calendar));
		assert_non_null(asctime_r(&calendar, expected));
		strcpy(expected + 24, "\r\n");
		assert_string_equal(reply_at(seconds, PROTOCOL_REPLY_MAX), expected);
	}
}

static void protocols_are_found_by_their_word(void **state)
{
	(void)state;
	for (size_t i = 0; i < PROTOCOL_COUNT; i++)
		assert_ptr_equal(protocol_find(protocol_table[i].word), &protocol_table[i]);
	assert_int_equal(protocol_find("daytime/tcp")->port, 13);
	assert_null(protocol_find("daytime"));
	assert_null(protocol_find(""));
	assert_null(protocol_find("daytime/tcpx"));
}

static void the_current_second_is_read(void **state)
{
	struct clock_second now = { 0 };
	time_t before = time(NULL);

	(void)state;
	clock_read_second(&now);
	assert_true(now.valid);
	assert_in_range(now.seconds, before, before + 2);
	assert_int_equal(mktime(&now.local), now.seconds);
}

static void a_changed_time_zone_is_read(void **state)
{
	struct clock_second now = { 0 };

	(void)state;
	setenv("TZ", "XXX-03", 1);
	clock_reload_zone();
	clock_read_second(&now);
	assert_int_equal(now.local.tm_gmtoff, 3 * 3600);
	assert_string_equal(getenv("TZ"), "XXX-03"); /* restored */
	unsetenv("TZ");
	clock_reload_zone();
	assert_null(getenv("TZ"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(exact_bytes),
		cmocka_unit_test(no_reply_outside_of_four_digit_years),
		cmocka_unit_test(no_partial_reply),
		cmocka_unit_test(random_seconds_agree_with_the_c_library),
		cmocka_unit_test(protocols_are_found_by_their_word),
		cmocka_unit_test(the_current_second_is_read),
		cmocka_unit_test(a_changed_time_zone_is_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
