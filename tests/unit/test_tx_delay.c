/* The transmit delay: predictions, and how samples update them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "server/request/tx_delay.h"

#define MICROSECOND (CLOCK_MILLISECOND / 1000)

/* The clock of all batches: only differences matter. */
static const clock_ntp_time clock_now = UINT64_C(0xee00000000000000);

/* Begins a batch at now, whose clock is clock_now. */
static void begin(struct tx_delay *tx_delay, int64_t now)
{
	tx_delay_begin_batch(tx_delay, now);
	tx_delay_wait(tx_delay);
	tx_delay_set_clock(tx_delay, clock_now);
}

/* The delay predicted for a reply of the current batch, in nanoseconds. */
static int64_t predicted(const struct tx_delay *tx_delay, unsigned position)
{
	return clock_span_from_ntp(
		(clock_ntp_span)(tx_delay_predict(tx_delay, position) - clock_now));
}

static void update(struct tx_delay *tx_delay, unsigned position, int64_t delay)
{
	tx_delay_update(tx_delay, position, clock_now + (clock_ntp_time)clock_span_to_ntp(delay));
}

static void assert_near(int64_t value, int64_t wanted)
{
	assert_in_range(value, wanted - 2, wanted + 2);
}

static void the_first_prediction_is_zero(void **state)
{
	struct tx_delay tx_delay = { 0 };

	(void)state;
	begin(&tx_delay, CLOCK_SECOND);
	assert_int_equal(predicted(&tx_delay, 0), 0);
	assert_int_equal(predicted(&tx_delay, 31), 0);
}

static void the_first_sample_is_taken_over(void **state)
{
	struct tx_delay tx_delay = { 0 };

	(void)state;
	begin(&tx_delay, CLOCK_SECOND);
	update(&tx_delay, 0, 7 * MICROSECOND);
	assert_near(predicted(&tx_delay, 0), 7 * MICROSECOND);
}

/* The caches are warm if the worker has not waited, however long ago the last batch began. */
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

static void an_outlier_has_little_effect(void **state)
{
	struct tx_delay tx_delay = { 0 };

	(void)state;
	begin(&tx_delay, CLOCK_SECOND);
	update(&tx_delay, 0, 8 * MICROSECOND);
	update(&tx_delay, 0, 900 * MICROSECOND);
	assert_in_range(predicted(&tx_delay, 0), 8 * MICROSECOND, 9 * MICROSECOND);
}

static void implausible_samples_are_ignored(void **state)
{
	struct tx_delay tx_delay = { 0 };

	(void)state;
	begin(&tx_delay, CLOCK_SECOND);
	update(&tx_delay, 0, -MICROSECOND);
	update(&tx_delay, 0, 2 * CLOCK_MILLISECOND);
	update(&tx_delay, 0, 3600 * CLOCK_SECOND);
	assert_int_equal(predicted(&tx_delay, 0), 0);
}

static void predictions_converge_to_the_median(void **state)
{
	struct tx_delay tx_delay = { 0 };

	(void)state;
	begin(&tx_delay, CLOCK_SECOND);
	for (int i = 0; i < 300; i++)
		update(&tx_delay, 0, (i % 3 == 0 ? 100 : 5) * MICROSECOND);
	assert_in_range(predicted(&tx_delay, 0), 4 * MICROSECOND, 7 * MICROSECOND);
}

static void cold_and_warm_batches_are_predicted_separately(void **state)
{
	struct tx_delay tx_delay = { 0 };

	(void)state;
	begin(&tx_delay, CLOCK_SECOND);
	assert_false(tx_delay.warm);
	update(&tx_delay, 0, 9 * MICROSECOND);
	begin(&tx_delay, CLOCK_SECOND + 50 * MICROSECOND);
	assert_true(tx_delay.warm);
	assert_int_equal(predicted(&tx_delay, 0), 0);
	update(&tx_delay, 0, 2 * MICROSECOND);
	assert_near(predicted(&tx_delay, 0), 2 * MICROSECOND);
	begin(&tx_delay, 2 * CLOCK_SECOND);
	assert_near(predicted(&tx_delay, 0), 9 * MICROSECOND);
}

static void later_replies_wait_for_earlier_ones(void **state)
{
	struct tx_delay tx_delay = { 0 };

	(void)state;
	begin(&tx_delay, CLOCK_SECOND);
	update(&tx_delay, 0, 4 * MICROSECOND);
	update(&tx_delay, 10, 24 * MICROSECOND);
	assert_near(predicted(&tx_delay, 0), 4 * MICROSECOND);
	assert_near(predicted(&tx_delay, 5), 14 * MICROSECOND);
}

/* One every 4 ms, the first and the last reply of a batch in turn. */
static void few_replies_are_sampled(void **state)
{
	struct tx_delay tx_delay = { 0 };
	int samples = 0;

	(void)state;
	begin(&tx_delay, CLOCK_SECOND);
	assert_int_equal(tx_delay_choose_sample(&tx_delay, 0), -1);
	assert_int_equal(tx_delay_choose_sample(&tx_delay, 8), 0);
	assert_int_equal(tx_delay_choose_sample(&tx_delay, 8), -1);
	begin(&tx_delay, CLOCK_SECOND + 5 * CLOCK_MILLISECOND);
	assert_int_equal(tx_delay_choose_sample(&tx_delay, 8), 7);
	for (int64_t now = 2 * CLOCK_SECOND; now < 3 * CLOCK_SECOND; now += 10 * MICROSECOND) {
		begin(&tx_delay, now);
		samples += tx_delay_choose_sample(&tx_delay, 1) >= 0;
	}
	assert_int_equal(samples, 250);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_prediction_is_zero),
		cmocka_unit_test(the_first_sample_is_taken_over),
		cmocka_unit_test(a_worker_that_did_not_wait_is_warm),
		cmocka_unit_test(an_outlier_has_little_effect),
		cmocka_unit_test(implausible_samples_are_ignored),
		cmocka_unit_test(predictions_converge_to_the_median),
		cmocka_unit_test(cold_and_warm_batches_are_predicted_separately),
		cmocka_unit_test(later_replies_wait_for_earlier_ones),
		cmocka_unit_test(few_replies_are_sampled),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
