/* The clock state: published and read, its age, and the state of the kernel clock. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "clock/clock_state.h"

#define MILLION 1000000

static const struct clock_state full = {
	.leap = CLOCK_LEAP_DELETE,
	.stratum = 15,
	.reference_id = CLOCK_REFERENCE(192, 0, 2, 255),
	.reference_time = 0xfedcba9876543210,
	.root_delay = 0x89abcdef,
	.root_dispersion = 0x00010000,
	.drift_ppm = 15,
	.measured = 1000 * CLOCK_SECOND,
};

/* Field by field, because a struct has padding. */
static void assert_same(const struct clock_state *state, const struct clock_state *expected)
{
	assert_int_equal(state->leap, expected->leap);
	assert_int_equal(state->stratum, expected->stratum);
	assert_int_equal(state->reference_id, expected->reference_id);
	assert_int_equal(state->reference_time, expected->reference_time);
	assert_int_equal(state->root_delay, expected->root_delay);
	assert_int_equal(state->root_dispersion, expected->root_dispersion);
	assert_int_equal(state->drift_ppm, expected->drift_ppm);
	assert_int_equal(state->measured, expected->measured);
}

static void assert_unsynchronised(const struct clock_state *state, uint32_t reason)
{
	const struct clock_state expected = {
		.leap = CLOCK_LEAP_UNKNOWN,
		.reference_id = reason,
		.root_dispersion = 16 << 16,
	};

	assert_same(state, &expected);
	assert_false(clock_state_is_synchronised(state));
}

static void an_empty_snapshot_is_not_synchronised(void **cmocka)
{
	static const struct clock_state_snapshot snapshot;
	struct clock_state state;

	(void)cmocka;
	clock_state_read(&snapshot, clock_monotonic(), &state);
	assert_unsynchronised(&state, 0x494e4954); /* "INIT" */
}

static void a_published_state_can_be_read(void **cmocka)
{
	struct clock_state_snapshot snapshot = { 0 };
	struct clock_state state, none;

	(void)cmocka;
	clock_state_unsynchronised(&none, CLOCK_REFERENCE_STEP);
	for (int i = 0; i < 3; i++) {
		clock_state_publish(&snapshot, &full);
		clock_state_read(&snapshot, full.measured, &state);
		assert_same(&state, &full);
		assert_true(clock_state_is_synchronised(&state));
		clock_state_publish(&snapshot, &none);
		clock_state_read(&snapshot, full.measured, &state);
		assert_unsynchronised(&state, 0x53544550); /* "STEP" */
	}
	snapshot.sequence = UINT32_MAX; /* the next sequence number is 0 */
	clock_state_publish(&snapshot, &full);
	clock_state_read(&snapshot, full.measured, &state);
	assert_same(&state, &full);
}

/* In units of 2^-16 s, rounded up. */
static void dispersion_grows_with_age(void **cmocka)
{
	static const struct {
		int64_t age;
		uint32_t ppm;
		uint32_t dispersion, expected;
	} rows[] = {
		{ 0, 15, 7, 7 },
		{ -CLOCK_SECOND, 15, 7, 7 }, /* an age below zero */
		{ INT64_MIN / 2, 15, 7, 7 },
		{ 3600 * CLOCK_SECOND, 0, 7, 7 },
		{ 1, 15, 7, 8 },
		{ CLOCK_SECOND, 15, 0, 1 },		 /* 0.98 */
		{ 1024 * CLOCK_SECOND, 15, 0, 1007 },	 /* 1006.6 */
		{ CLOCK_SECOND, 500, 65536, 65569 },	 /* 32.8 */
		{ CLOCK_SECOND / 8, 500, 65536, 65541 }, /* 4.1 */
		{ MILLION * CLOCK_SECOND, 15, 0, 15 << 16 },
		{ 9000000000 * CLOCK_SECOND, 1, 0, 9000U << 16 },
		{ INT64_MAX, 1, 0, 604462910 }, /* 9223.4 s, in 292 years */
		{ INT64_MAX, 500, 0, UINT32_MAX },
		{ INT64_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX },
		{ CLOCK_SECOND, UINT32_MAX, 0, 281474977 }, /* 4294.967295 s */
		{ 65535 * CLOCK_SECOND, MILLION, 0, 65535U << 16 },
		{ 65536 * CLOCK_SECOND, MILLION, 0, UINT32_MAX },
		{ 65537 * CLOCK_SECOND, MILLION, 0, UINT32_MAX },
		{ CLOCK_SECOND, 500, UINT32_MAX - 32, UINT32_MAX },
		{ CLOCK_SECOND, 500, UINT32_MAX - 33, UINT32_MAX },
		{ CLOCK_SECOND, 500, UINT32_MAX - 34, UINT32_MAX - 1 },
	};
	struct clock_state_snapshot snapshot = { 0 };
	struct clock_state state = full;

	(void)cmocka;
	state.measured = 0;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct clock_state read;

		state.drift_ppm = rows[i].ppm;
		state.root_dispersion = rows[i].dispersion;
		clock_state_publish(&snapshot, &state);
		clock_state_read(&snapshot, rows[i].age, &read);
		assert_int_equal(read.root_dispersion, rows[i].expected);
	}
}

static void an_age_that_overflows_is_zero(void **cmocka)
{
	struct clock_state_snapshot snapshot = { 0 };
	struct clock_state state = full;

	(void)cmocka;
	state.measured = INT64_MAX;
	clock_state_publish(&snapshot, &state);
	clock_state_read(&snapshot, INT64_MIN, &state);
	assert_int_equal(state.root_dispersion, full.root_dispersion);
}

static void short_spans(void **cmocka)
{
	static const struct {
		clock_ntp_span span;
		clock_ntp_short expected;
	} rows[] = {
		{ 0, 0 },
		{ 1, 1 },
		{ -1, 1 },
		{ 65536, 1 },
		{ 65537, 2 },
		{ INT64_C(1) << 32, 1 << 16 },
		{ -(INT64_C(1) << 32), 1 << 16 },
		{ (INT64_C(1) << 48) - 65536, UINT32_MAX },
		{ (INT64_C(1) << 48) - 1, UINT32_MAX },
		{ INT64_C(1) << 48, UINT32_MAX },
		{ INT64_MAX, UINT32_MAX },
		{ INT64_MIN, UINT32_MAX },
	};

	(void)cmocka;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(clock_short_from_span(rows[i].span), rows[i].expected);
	assert_int_equal(clock_short_add(1, 2), 3);
	assert_int_equal(clock_short_add(UINT32_MAX, 0), UINT32_MAX);
	assert_int_equal(clock_short_add(UINT32_MAX - 1, 1), UINT32_MAX);
	assert_int_equal(clock_short_add(UINT32_MAX - 1, 2), UINT32_MAX);
	assert_int_equal(clock_short_add(UINT32_MAX, UINT32_MAX), UINT32_MAX);
}

/* Every field of the nth state follows from n, so that a torn read is detected. */
#define PUBLICATIONS 200000

static struct clock_state nth_state(uint32_t n)
{
	return (struct clock_state){
		.leap = (uint8_t)(n % 3),
		.stratum = (uint8_t)(1 + n % 15),
		.reference_id = n,
		.reference_time = UINT64_C(0x9e3779b97f4a7c15) * n,
		.root_delay = ~n,
		.root_dispersion = n ^ 0x5a5a5a5a,
		.drift_ppm = n * 3,
		.measured = (int64_t)n << 20,
	};
}

static bool is_same(const struct clock_state *a, const struct clock_state *b)
{
	return a->leap == b->leap && a->stratum == b->stratum &&
	       a->reference_id == b->reference_id && a->reference_time == b->reference_time &&
	       a->root_delay == b->root_delay && a->root_dispersion == b->root_dispersion &&
	       a->drift_ppm == b->drift_ppm && a->measured == b->measured;
}

struct reading {
	const struct clock_state_snapshot *snapshot;
	uint32_t torn, backwards, last;
};

static void *read_until_last(void *argument)
{
	struct reading *reading = argument;
	struct clock_state state, expected;

	do {
		clock_state_read(reading->snapshot, INT64_MIN, &state);
		if (!clock_state_is_synchronised(&state))
			continue; /* nothing was published yet */
		expected = nth_state(state.reference_id);
		reading->torn += !is_same(&state, &expected);
		reading->backwards += state.reference_id < reading->last;
		reading->last = state.reference_id;
	} while (reading->last < PUBLICATIONS);
	return NULL;
}

static void no_read_is_torn(void **cmocka)
{
	struct clock_state_snapshot snapshot = { 0 };
	struct reading readings[2] = { { .snapshot = &snapshot }, { .snapshot = &snapshot } };
	pthread_t threads[2];

	(void)cmocka;
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, read_until_last, &readings[i]),
				 0);
	for (uint32_t n = 1; n <= PUBLICATIONS; n++) {
		struct clock_state state = nth_state(n);

		clock_state_publish(&snapshot, &state);
	}
	for (int i = 0; i < 2; i++) {
		assert_int_equal(pthread_join(threads[i], NULL), 0);
		assert_int_equal(readings[i].torn, 0);
		assert_int_equal(readings[i].backwards, 0);
	}
}

static void a_local_clock_has_a_recent_reference_time(void **cmocka)
{
	static const struct {
		clock_ntp_time now, reference;
		uint32_t dispersion;
	} rows[] = {
		{ 0x83aa7e8000000000, 0x83aa7e8000000000, 1 },	/* 1970-01-01 is a multiple */
		{ 0x83aa7e8000000001, 0x83aa7e8000000000, 1 },	/* a quarter of a nanosecond */
		{ 0x83aa7e8100000000, 0x83aa7e8000000000, 2 },	/* 1 + 0.98 */
		{ 0x83aa7ebfffffffff, 0x83aa7e8000000000, 64 }, /* 1 + 62.9 */
		{ 0x83aa7ec000000000, 0x83aa7ec000000000, 1 },
		{ 0xffffffffffffffff, 0xffffffc000000000, 64 }, /* the era ends and begins */
		{ 0x0000000000000000, 0x0000000000000000, 1 },
	};
	struct clock_state state;

	(void)cmocka;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct clock_state expected = {
			.leap = CLOCK_LEAP_NONE,
			.stratum = 10,
			.reference_id = 0x7f7f0101,
			.reference_time = rows[i].reference,
			.root_dispersion = rows[i].dispersion,
			.drift_ppm = 15,
			.measured = 12345,
		};

		clock_state_local(&state, 10, rows[i].now, 12345);
		assert_same(&state, &expected);
	}
}

#define SOME_TIME 0x123456789abcdef0

static struct clock_state kernel_state(int status, int result, long maxerror)
{
	const struct timex kernel = { .status = status, .maxerror = maxerror };
	struct clock_state state;

	memset(&state, 0xee, sizeof(state));
	clock_state_from_kernel(&state, &kernel, result, SOME_TIME, 777);
	return state;
}

static void assert_kernel_synchronised(int status, int result, long maxerror, enum clock_leap leap,
				       uint32_t dispersion)
{
	const struct clock_state expected = {
		.leap = (uint8_t)leap,
		.stratum = CLOCK_SYSTEM_STRATUM,
		.reference_id = 0x7f7f0101,
		.reference_time = SOME_TIME,
		.root_dispersion = dispersion,
		.drift_ppm = 500,
		.measured = 777,
	};
	struct clock_state state = kernel_state(status, result, maxerror);

	assert_same(&state, &expected);
}

static void assert_kernel_unsynchronised(int status, int result, long maxerror, uint32_t reason)
{
	struct clock_state state = kernel_state(status, result, maxerror);

	assert_unsynchronised(&state, reason);
}

static void synchronised_states_of_the_kernel(void **cmocka)
{
	(void)cmocka;
	assert_kernel_synchronised(STA_PLL, TIME_OK, 0, CLOCK_LEAP_NONE, 0);
	assert_kernel_synchronised(0, TIME_OK, 1, CLOCK_LEAP_NONE, 1);
	assert_kernel_synchronised(0, TIME_OK, 1000, CLOCK_LEAP_NONE, 66); /* 65.5 */
	assert_kernel_synchronised(STA_NANO, TIME_OK, 500000, CLOCK_LEAP_NONE, 1 << 15);
	assert_kernel_synchronised(0, TIME_OK, 15999999, CLOCK_LEAP_NONE, 16 << 16);
	assert_kernel_synchronised(STA_INS, TIME_INS, 1000, CLOCK_LEAP_INSERT, 66);
	assert_kernel_synchronised(STA_DEL, TIME_DEL, 1000, CLOCK_LEAP_DELETE, 66);
	assert_kernel_synchronised(STA_INS, TIME_WAIT, 1000, CLOCK_LEAP_NONE, 66);
	assert_kernel_synchronised(STA_DEL, TIME_WAIT, 1000, CLOCK_LEAP_NONE, 66);
	/* The leap second was requested within this second. */
	assert_kernel_synchronised(STA_INS, TIME_OK, 1000, CLOCK_LEAP_NONE, 66);
}

static void unsynchronised_states_of_the_kernel(void **cmocka)
{
	static const int results[] = { TIME_OK, TIME_INS, TIME_DEL, TIME_WAIT, TIME_ERROR };

	(void)cmocka;
	for (size_t i = 0; i < sizeof(results) / sizeof(results[0]); i++) {
		assert_kernel_unsynchronised(STA_UNSYNC, results[i], 1000, CLOCK_REFERENCE_INIT);
		assert_kernel_unsynchronised(STA_UNSYNC | STA_INS | STA_PLL, results[i], 1000,
					     CLOCK_REFERENCE_INIT);
		assert_kernel_unsynchronised(0, results[i], 16 * MILLION, CLOCK_REFERENCE_INIT);
		assert_kernel_unsynchronised(0, results[i], INT32_MAX, CLOCK_REFERENCE_INIT);
		assert_kernel_unsynchronised(0, results[i], -1, CLOCK_REFERENCE_INIT);
	}
	assert_kernel_unsynchronised(0, TIME_ERROR, 1000, CLOCK_REFERENCE_INIT);
	assert_kernel_unsynchronised(STA_CLOCKERR, TIME_ERROR, 1000, CLOCK_REFERENCE_INIT);
	assert_kernel_unsynchronised(0, -1, 0, CLOCK_REFERENCE_INIT); /* the call failed */
	/* The leap second itself. */
	assert_kernel_unsynchronised(STA_INS, TIME_OOP, 1000, CLOCK_REFERENCE_STEP);
	assert_kernel_unsynchronised(STA_INS | STA_UNSYNC, TIME_OOP, 1000, CLOCK_REFERENCE_STEP);
}

/* The day of the measurement counts; a second that was inserted makes it look a second longer. */
static void a_leap_second_is_over_with_its_day(void **state)
{
	const int64_t midnight = 20000 * CLOCK_DAY * CLOCK_SECOND;
	struct clock_state announced = full;

	(void)state;
	for (int leap = CLOCK_LEAP_INSERT; leap <= CLOCK_LEAP_UNKNOWN; leap++) {
		announced.leap = (uint8_t)leap;
		clock_state_end_leap(&announced, midnight - 1, full.measured + 9 * CLOCK_SECOND);
		assert_int_equal(announced.leap, leap);
		clock_state_end_leap(&announced, midnight + 5, full.measured + 5);
		assert_int_equal(announced.leap, leap);
		clock_state_end_leap(&announced, midnight, full.measured + 1);
		assert_int_equal(announced.leap,
				 leap == CLOCK_LEAP_UNKNOWN ? leap : CLOCK_LEAP_NONE);
	}
}

/* RFC 5905 section 11.2.3: half of the root delay, rounded up, and the root dispersion. */
static void the_root_distance(void **cmocka)
{
	struct clock_state state = { .root_delay = 5, .root_dispersion = 7 };

	(void)cmocka;
	assert_int_equal(clock_state_root_distance(&state), 10);
	state.root_delay = 4;
	assert_int_equal(clock_state_root_distance(&state), 9);
	state.root_dispersion = UINT32_MAX - 1;
	assert_int_equal(clock_state_root_distance(&state), UINT32_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_empty_snapshot_is_not_synchronised),
		cmocka_unit_test(a_published_state_can_be_read),
		cmocka_unit_test(dispersion_grows_with_age),
		cmocka_unit_test(an_age_that_overflows_is_zero),
		cmocka_unit_test(short_spans),
		cmocka_unit_test(no_read_is_torn),
		cmocka_unit_test(a_leap_second_is_over_with_its_day),
		cmocka_unit_test(a_local_clock_has_a_recent_reference_time),
		cmocka_unit_test(synchronised_states_of_the_kernel),
		cmocka_unit_test(unsynchronised_states_of_the_kernel),
		cmocka_unit_test(the_root_distance),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
