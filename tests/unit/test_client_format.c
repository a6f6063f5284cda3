/* timeclient: parsing the texts of Daytime servers, formatting times, spans and offsets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "client/daytime_text.h"
#include "client/format.h"
#include "client/query.h"
#include "clock/clock.h"

#define NOW   1795374908 /* 2026-11-22 19:15:08 UTC */
#define LATER 1795705430 /* 2026-11-26 15:03:50 UTC */
#define US    INT64_C(1000)
#define MS    CLOCK_MILLISECOND
#define S     CLOCK_SECOND

static int choose_zone(const char *zone)
{
	setenv("TZ", zone, 1);
	tzset();
	return 0;
}

static int in_utc(void **state)
{
	(void)state;
	return choose_zone("UTC0");
}

static int in_berlin(void **state)
{
	(void)state;
	return choose_zone("CET-1CEST,M3.5.0,M10.5.0/3");
}

static int in_china(void **state)
{
	(void)state;
	return choose_zone("CST-8");
}

static void expect(const char *text, int64_t seconds, bool has_zone)
{
	struct daytime_text parsed;

	assert_int_equal(daytime_text_parse(text, NOW, &parsed), DAYTIME_OK);
	assert_int_equal(parsed.seconds, seconds);
	assert_int_equal(parsed.has_zone, has_zone);
}

static void parses_server_texts(void **state)
{
	(void)state;
	expect("Sun Nov 22 19:15:08 2026", NOW, false);
	expect("Tue Nov  3 19:15:08 2026", NOW - 19 * 86400, false);
	expect("Sun Nov 22 19:15:08 2026 UTC", NOW, true);
	expect("22 NOV 2026 19:15:08 UTC", NOW, true);
	expect("22 Nov 2026 20:15:08 +0100", NOW, true);
	expect("61366 26-11-22 19:15:08 00 0 0 895.3 UTC(NIST) * ", NOW, true);
	expect("2026-11-22T19:15:08Z", NOW, true);
	expect("2026-11-22T19:15:08.25+00:00", NOW, true);
	expect("2026-11-22T14:15:08-05:00", NOW, true);
	expect("2026-11-22 19:15:08", NOW, false);
	expect("2026-11-22 19:15:08,5 GMT", NOW, true);
	expect("Sunday, November 22, 2026 19:15:08-UTC", NOW, true);
	expect("Sun, 22 Nov 2026 19:15:08 GMT", NOW, true);
	expect("  Sun Nov 22 19:15:08 2026  ", NOW, false);
	expect("Thu Jan  1 00:00:00 1970", 0, false);
}

static void texts_without_zone_are_local(void **state)
{
	(void)state;
	expect("Sun Nov 22 20:15:08 2026", NOW, false);
	expect("22 NOV 2026 20:15:08 CET", NOW, true);
	expect("22 NOV 2026 19:15:08 UTC", NOW, true);
	expect("Wed Jul 22 21:15:08 2026", NOW - 123 * 86400, false);
}

static void parses_texts_of_old_and_other_systems(void **state)
{
	(void)state;
	expect("Thu Nov 26 15:03:50 UTC 2026", LATER, true);
	expect("Thu Nov 26 03:03:50 PM UTC 2026", LATER, true);
	expect("Thu Nov 26 16:03:50 CET 2026", LATER, true);
	expect("Thu Nov 26 16:03:50 +01:00 2026", LATER, true);
	expect("Thu Nov 26 10:03:50 EST 2026", LATER, true);
	expect("Thu 26 Nov 15:03:50 UTC 2026", LATER, true);
	expect("Thu 26 Nov 2026 15:03:50 UTC", LATER, true);
	expect("Thu 26 Nov 2026 03:03:50 PM UTC", LATER, true);
	expect("Thu 26 Nov 2026 04:03:50 PM", LATER, false);
	expect("Tuesday, February 22, 1982 17:37:43-PST", 383276263, true);
	expect("02 FEB 82 07:59:01 PST", 381513541, true);
	expect("22-FEB-82 17:37:43-PST", 383276263, true);
	expect("26-NOV-2026 16:03:50.12", LATER, false);
	expect("26 Nov 26 15:03:50 UT", LATER, true);
	expect("4:03:50 PM 11/26/2026", LATER, false);
	expect("4:03:50 PM 26/11/2026", LATER, false);
	expect("04:03:50 PM 11/26/2026 ", LATER, false);
	expect("16:03:50 26.11.2026", LATER, false);
	expect("16:03:50 26/11/2026", LATER, false);
	expect("2026/11/26 16:03:50", LATER, false);
	expect("26.11.2026 16:03:50", LATER, false);
	expect("26/11/2026 16:03:50", LATER, false);
	expect("11/26/2026 16:03:50", LATER, false);
}

/* RFC 5322 section 4.3. */
static void knows_zones_by_name(void **state)
{
	static const struct {
		const char *text;
		int hours;
	} cases[] = {
		{ "26 Nov 2026 15:03:50 UTC", 0 },  { "26 Nov 2026 15:03:50 GMT", 0 },
		{ "26 Nov 2026 15:03:50 UT", 0 },   { "26 Nov 2026 15:03:50 Z", 0 },
		{ "26 Nov 2026 15:03:50 EST", -5 }, { "26 Nov 2026 15:03:50 EDT", -4 },
		{ "26 Nov 2026 15:03:50 CST", -6 }, { "26 Nov 2026 15:03:50 CDT", -5 },
		{ "26 Nov 2026 15:03:50 MST", -7 }, { "26 Nov 2026 15:03:50 MDT", -6 },
		{ "26 Nov 2026 15:03:50 PST", -8 }, { "26 Nov 2026 15:03:50 PDT", -7 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		expect(cases[i].text, LATER - cases[i].hours * 3600, true);
}

/* CST is the local zone, which comes first. */
static void a_local_name_comes_first(void **state)
{
	(void)state;
	expect("26 Nov 2026 23:03:50 CST", LATER, true);
}

/* Day and month of Windows: the reading that is nearer to now. */
static void takes_the_nearest_reading(void **state)
{
	struct daytime_text parsed;

	(void)state;
	expect("3:03:50 PM 11/12/2026", LATER - 14 * 86400, false);
	expect("3:03:50 PM 12/11/2026", LATER - 14 * 86400, false);
	expect("11/12/2026 15:03:50", LATER - 14 * 86400, false);
	assert_int_equal(daytime_text_parse("3:03:50 PM 11/12/2026", LATER + 14 * 86400, &parsed),
			 DAYTIME_OK);
	assert_int_equal(parsed.seconds, LATER + 15 * 86400);
}

static void reports_unknown_zones(void **state)
{
	static const char *const texts[] = {
		"22 NOV 2026 19:15:08 CET",	   "Thu Nov 26 15:03:50 CEST 2026",
		"22 NOV 2026 19:15:08 PM",	   "Sunday, November 22, 2026 19:15:08-XYZ",
		"2026-11-22T19:15:08+25:00:00",	   "26 Nov 2026 15:03:50 A",
		"Thu Nov 26 03:03:50 PM IST 2026", "3:03:50 PM 11/26/2026 est",
	};
	struct daytime_text parsed;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		assert_int_equal(daytime_text_parse(texts[i], NOW, &parsed), DAYTIME_NO_ZONE);
}

static void rejects_other_texts(void **state)
{
	static const char *const texts[] = {
		"",
		"noon",
		"Sun Nov 22 19:15:08",
		"Sun Nov 22 19:15:08 26",
		"22 NOV 2026 19:15:08 PST PDT",
		"Thu Nov 26 15:03:50 UTC",
		"Thu Nov 26 15:03:50 UTC 26",
		"Thu 26 Nov 15:03:50 UTC",
		"26/26/2026 15:03:50",
		"Thu Nov 26 15:03:50 UTC 2026 and so on",
		"13:03:50 PM 11/26/2026",
		"3:03:50 PM 13/13/2026",
		"3:03:50 11-26-2026",
		"30 FEB 82 07:59:01 PST",
		"Sun Nov 22 19:15:08 2026 and so on",
		"Sun Nov 32 19:15:08 2026",
		"Sun Nov 22 25:15:08 2026",
		"Sun Nov 22 19:15:08 1899",
		"Sun Nov 22 19:15:08 2200",
		"Sun Nov 22 19:15:08 9999",
		"61366 26-11-22 19:15:08",
		"61366 26-11-22 24:15:08 00 0 0 895.3 UTC(NIST) *",
		"1795374908",
		"31 FEB 2026 19:15:08 UTC",
		"61366 26-01-01 19:15:08 00 0 0 50.0 UTC(NIST) *",
	};
	struct daytime_text parsed;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		assert_int_equal(daytime_text_parse(texts[i], NOW, &parsed), DAYTIME_NO_DATE);
}

/* The bound is half a second plus half the delay. */
static void text_gives_offset(void **state)
{
	static const char nist[] = "61366 26-11-22 19:15:08 00 0 0 50.0 UTC(NIST) * ";
	struct sample sample = { .local_time = { NOW, 100 * MS }, .delay = 20 * MS };

	(void)state;
	assert_true(query_daytime_parse(&sample, "22 NOV 2026 19:15:10 UTC\n", 25));
	assert_true(sample.has_offset);
	assert_int_equal(sample.offset, 2410 * MS);
	assert_int_equal(sample.bound, 510 * MS);
	assert_true(query_daytime_parse(&sample, nist, sizeof(nist) - 1));
	assert_int_equal(sample.bound, 1510 * MS);
}

static void unknown_zone_gives_no_offset(void **state)
{
	struct sample sample = { .local_time = { NOW, 0 } };

	(void)state;
	assert_true(query_daytime_parse(&sample, "22 NOV 2026 19:15:10 XYZ\n", 25));
	assert_true(sample.zone_unknown && !sample.has_offset);
}

static void other_zone_gives_no_offset(void **state)
{
	struct sample sample = { .local_time = { NOW, 0 } };

	(void)state;
	assert_true(query_daytime_parse(&sample, "Sun Nov 22 20:15:09 2026", 24));
	assert_true(sample.zone_unknown && !sample.has_offset);
	assert_true(query_daytime_parse(&sample, "Sun Nov 22 13:45:05 2026", 24));
	assert_false(sample.has_offset);
	assert_true(query_daytime_parse(&sample, "Sun Nov 22 20:15:09 2026 UTC", 28));
	assert_true(sample.has_offset);
	assert_true(query_daytime_parse(&sample, "Sun Nov 22 20:20:09 2026", 24));
	assert_true(sample.has_offset);
	assert_true(query_daytime_parse(&sample, "Sun Nov 22 19:15:04 2026", 24));
	assert_true(sample.has_offset);
	assert_true(query_daytime_parse(&sample, "Wed Nov 25 19:15:08 2026", 24));
	assert_true(sample.has_offset);
	sample.has_offset = false;
	assert_true(query_daytime_parse(&sample, "what time is it?", 16));
	assert_false(sample.has_offset);
}

static void formats_offsets_and_bounds(void **state)
{
	static const struct {
		int64_t offset, bound;
		const char *offset_text, *bound_text;
	} cases[] = {
		{ 1240 * US, 310 * US, "1.24 ms behind", "+/- 0.31 ms" },
		{ -1240 * US, 90 * US, "1.240 ms ahead", "+/- 90 us" },
		{ 489710 * US, 500130 * US, "490 ms behind", "+/- 500 ms" },
		{ -489710 * US, 1500130 * US, "0.5 s ahead", "+/- 1.5 s" },
		{ 4 * MS, 500 * MS, "0 ms behind", "+/- 500 ms" },
		{ 0, 0, "0.00 us behind", "+/- 0.00 us" },
		{ 1, 4, "0.00 us behind", "+/- 0.00 us" },
		{ -994, 996, "0.99 us ahead", "+/- 1.00 us" },
		{ 999994, 999995, "1.00 ms behind", "+/- 1.00 ms" },
		{ 2 * US, 15 * MS, "0 ms behind", "+/- 15 ms" },
		{ 9 * MS, 99 * MS, "9 ms behind", "+/- 99 ms" },
		{ 9 * MS, 99499 * US, "9 ms behind", "+/- 99 ms" },
		{ 9 * MS, 99501 * US, "9 ms behind", "+/- 100 ms" },
		{ 9 * MS, 100 * MS, "10 ms behind", "+/- 100 ms" },
		{ 500 * MS, 1500 * MS, "0.5 s behind", "+/- 1.5 s" },
		{ 60 * S, 10400 * US, "60.000 s behind", "+/- 10 ms" },
		{ 60 * S, 100400 * US, "60.00 s behind", "+/- 0.10 s" },
		{ 489 * S, 150 * S, "490 s behind", "+/- 150 s" },
		{ 3 * S, 1200 * S, "0 s behind", "+/- 00:20:00" },
		{ 999 * S, 500 * MS, "999.00 s behind", "+/- 0.50 s" },
		{ 1000 * S, 500 * MS, "00:16:40 behind", "+/- 0.50 s" },
		{ -86400 * S, 3600 * S, "1 day 00:00:00 ahead", "+/- 01:00:00" },
		{ INT64_MAX, 1, "106751 days 23:47:16 behind", "+/- 0.00 us" },
		{ 1, 98304 * S, "0 s behind", "+/- 1 day 03:18:24" },
	};
	const struct format_style style = { .utf8 = false };
	char text[FORMAT_SIZE];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_string_equal(format_offset(text, cases[i].offset, cases[i].bound, &style),
				    cases[i].offset_text);
		assert_string_equal(format_bound(text, cases[i].bound, cases[i].offset, &style),
				    cases[i].bound_text);
	}
}

static void formats_seconds(void **state)
{
	static const struct {
		int64_t span, bound;
		const char *text;
	} cases[] = {
		{ 489710 * US, 500130 * US, "0.49" }, { -489710 * US, 500130 * US, "-0.49" },
		{ -3 * US, 10 * MS, "0.000" },	      { -12345, 310, "-0.00001235" },
		{ 500 * MS, 10400 * US, "0.500" },    { 3600 * S + 7 * MS, 1500 * MS, "3600.0" },
		{ 489 * S, 150 * S, "490" },	      { 0, 0, "0.00000000" },
	};
	char text[FORMAT_SIZE];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_string_equal(format_seconds(text, cases[i].span, cases[i].bound),
				    cases[i].text);
}

/* A spread is its own bound. */
static void formats_spreads(void **state)
{
	const struct format_style style = { .utf8 = false };
	char text[FORMAT_SIZE];

	(void)state;
	assert_string_equal(format_rounded(text, 30120 * US, 30120 * US, &style), "30 ms");
	assert_string_equal(format_rounded(text, 0, 0, &style), "0.00 us");
	assert_string_equal(format_rounded(text, 1999 * MS, 1999 * MS, &style), "2.0 s");
	assert_string_equal(format_rounded(text, 7200 * S, 7200 * S, &style), "02:00:00");
}

static void formats_in_utf8(void **state)
{
	const struct format_style style = { .utf8 = true };
	char text[FORMAT_SIZE];

	(void)state;
	assert_string_equal(format_span(text, 15 * US, &style), "15.00 \u00b5s");
	assert_string_equal(format_bound(text, 15 * MS, 20 * MS, &style), "\u00b1 15 ms");
}

static void formats_times_in_zone(void **state)
{
	const struct timespec time = { NOW, 123456789 }, wild = { INT64_MAX, 0 };
	struct format_style style = { .utc = false };
	char text[FORMAT_SIZE];

	(void)state;
	assert_string_equal(format_time(text, &time, false, &style),
			    "2026-11-22 20:15:08.123456 CET");
	style.utc = true;
	assert_string_equal(format_time(text, &time, false, &style),
			    "2026-11-22 19:15:08.123456 UTC");
	assert_string_equal(format_time(text, &time, true, &style), "2026-11-22 19:15:08 UTC");
	assert_string_equal(format_time(text, &wild, true, &style),
			    "9223372036854775807 s since 1970");
	style.format = "%s %A";
	assert_string_equal(format_time(text, &time, true, &style), "1795371308 Sunday");
	style.format = "";
	assert_string_equal(format_time(text, &time, true, &style), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(parses_server_texts, in_utc),
		cmocka_unit_test_setup(texts_without_zone_are_local, in_berlin),
		cmocka_unit_test_setup(parses_texts_of_old_and_other_systems, in_berlin),
		cmocka_unit_test_setup(knows_zones_by_name, in_utc),
		cmocka_unit_test_setup(a_local_name_comes_first, in_china),
		cmocka_unit_test_setup(takes_the_nearest_reading, in_utc),
		cmocka_unit_test_setup(reports_unknown_zones, in_utc),
		cmocka_unit_test_setup(rejects_other_texts, in_utc),
		cmocka_unit_test_setup(text_gives_offset, in_utc),
		cmocka_unit_test_setup(unknown_zone_gives_no_offset, in_utc),
		cmocka_unit_test_setup(other_zone_gives_no_offset, in_utc),
		cmocka_unit_test(formats_offsets_and_bounds),
		cmocka_unit_test(formats_seconds),
		cmocka_unit_test(formats_spreads),
		cmocka_unit_test(formats_in_utf8),
		cmocka_unit_test_setup(formats_times_in_zone, in_berlin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
