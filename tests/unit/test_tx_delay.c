/* When a reply leaves: what is expected, and what is learned from those that were watched. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "server/request/tx_delay.h"

#define MICROSECOND (CLOCK_MILLISECOND / 1000)

/* A time, the same for all batches: only differences count. */
static const clock_ntp_time clock_now = UINT64_C(0xee00000000000000);

/* Begins a batch at now and reckons from clock_now. */
static void begin(struct tx_delay *tx_delay, int64_t now)
{
	tx_delay_begin_batch(tx_delay, now);
	tx_delay_wait(tx_delay);
	tx_delay_set_clock(tx_delay, clock_now);
}

/* The delay that is expected for a reply of the present batch, nanoseconds. */
static int64_t expected(const struct tx_delay *tx_delay, unsigned position)
{
	return clock_span_from_ntp(
		(clock_ntp_span)(tx_delay_predict(tx_delay, position) - clock_now));
}

static void learn(struct tx_delay *tx_delay, unsigned position, int64_t delay)
{
	tx_delay_update(tx_delay, position, clock_now + (clock_ntp_time)clock_span_to_ntp(delay));
}

static void assert_near(int64_t value, int64_t wanted)
{
	assert_in_range(value, wanted - 2, wanted + 2);
}

static void nothing_is_known_at_first(void **state)
{
	struct tx_delay tx_delay = { 0 };

	(void)state;
	begin(&tx_delay, CLOCK_SECOND);
	assert_int_equal(expected(&tx_delay, 0), 0);
	assert_int_equal(expected(&tx_delay, 31), 0);
}

static void the_first_sample_is_believed(void **state)
{
	struct tx_delay tx_delay = { 0 };

	(void)state;
	begin(&tx_delay, CLOCK_SECOND);
	learn(&tx_delay, 0, 7 * MICROSECOND);
	assert_near(expected(&tx_delay, 0), 7 * MICROSECOND);
}

/* However long ago the last batch began: caches are warm if the worker has not waited since. */
static void a_worker_that_did_not_wait_is_warm(void **state)
{
	struct tx_delay tx_delay = { 0 };

	(void)state;
	tx_delay_begin_batch(&tx_delay, CLOCK_SECOND);
	assert_false(tx_delay.warm);
	tx_delay_begin_batch(&tx_delay, 2 * CLOCK_SECOND);
	assert_true(tx_delay.warm);
	tx_delay_wait(&tx_delay);
	tx_delay_begin_batch(&tx_delay, 3 * CLOCK_SECOND);
	assert_false(tx_delay.warm);
}

static void one_outlier_teaches_little(void **state)
{
	struct tx_delay tx_delay = { 0 };

	(void)state;
	begin(&tx_delay, CLOCK_SECOND);
	learn(&tx_delay, 0, 8 * MICROSECOND);
	learn(&tx_delay, 0, 900 * MICROSECOND);
	assert_in_range(expected(&tx_delay, 0), 8 * MICROSECOND, 9 * MICROSECOND);
}

static void what_cannot_be_is_not_believed(void **state)
{
	struct tx_delay tx_delay = { 0 };

	(void)state;
	begin(&tx_delay, CLOCK_SECOND);
	learn(&tx_delay, 0, -MICROSECOND);
	learn(&tx_delay, 0, 2 * CLOCK_MILLISECOND);
	learn(&tx_delay, 0, 3600 * CLOCK_SECOND);
	assert_int_equal(expected(&tx_delay, 0), 0);
}

static void a_median_is_learned(void **state)
{
	struct tx_delay tx_delay = { 0 };

	(void)state;
	begin(&tx_delay, CLOCK_SECOND);
	for (int i = 0; i < 300; i++)
		learn(&tx_delay, 0, (i % 3 == 0 ? 100 : 5) * MICROSECOND);
	assert_in_range(expected(&tx_delay, 0), 4 * MICROSECOND, 7 * MICROSECOND);
}

static void cold_and_hot_are_learned_apart(void **state)
{
	struct tx_delay tx_delay = { 0 };

	(void)state;
	begin(&tx_delay, CLOCK_SECOND);
	assert_false(tx_delay.warm);
	learn(&tx_delay, 0, 9 * MICROSECOND);
	begin(&tx_delay, CLOCK_SECOND + 50 * MICROSECOND);
	assert_true(tx_delay.warm);
	assert_int_equal(expected(&tx_delay, 0), 0);
	learn(&tx_delay, 0, 2 * MICROSECOND);
	assert_near(expected(&tx_delay, 0), 2 * MICROSECOND);
	begin(&tx_delay, 2 * CLOCK_SECOND);
	assert_near(expected(&tx_delay, 0), 9 * MICROSECOND);
}

static void later_replies_wait_for_earlier_ones(void **state)
{
	struct tx_delay tx_delay = { 0 };

	(void)state;
	begin(&tx_delay, CLOCK_SECOND);
	learn(&tx_delay, 0, 4 * MICROSECOND);
	learn(&tx_delay, 10, 24 * MICROSECOND);
	assert_near(expected(&tx_delay, 0), 4 * MICROSECOND);
	assert_near(expected(&tx_delay, 5), 14 * MICROSECOND);
}

/* Every 4 ms one, the first and the last of a batch by turns. */
static void few_are_watched(void **state)
{
	struct tx_delay tx_delay = { 0 };
	int watched = 0;

	(void)state;
	begin(&tx_delay, CLOCK_SECOND);
	assert_int_equal(tx_delay_choose_sample(&tx_delay, 0), -1);
	assert_int_equal(tx_delay_choose_sample(&tx_delay, 8), 0);
	assert_int_equal(tx_delay_choose_sample(&tx_delay, 8), -1);
	begin(&tx_delay, CLOCK_SECOND + 5 * CLOCK_MILLISECOND);
	assert_int_equal(tx_delay_choose_sample(&tx_delay, 8), 7);
	for (int64_t now = 2 * CLOCK_SECOND; now < 3 * CLOCK_SECOND; now += 10 * MICROSECOND) {
		begin(&tx_delay, now);
		watched += tx_delay_choose_sample(&tx_delay, 1) >= 0;
	}
	assert_int_equal(watched, 250);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_known_at_first),
		cmocka_unit_test(the_first_sample_is_believed),
		cmocka_unit_test(a_worker_that_did_not_wait_is_warm),
		cmocka_unit_test(one_outlier_teaches_little),
		cmocka_unit_test(what_cannot_be_is_not_believed),
		cmocka_unit_test(a_median_is_learned),
		cmocka_unit_test(cold_and_hot_are_learned_apart),
		cmocka_unit_test(later_replies_wait_for_earlier_ones),
		cmocka_unit_test(few_are_watched),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
