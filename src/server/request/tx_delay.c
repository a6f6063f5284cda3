#include "server/request/tx_delay.h"

/* Less than this since the last batch: the core has not gone idle, and caches are warm. */
#define WARM_TIME (CLOCK_MILLISECOND / 10)

/* At most one reply is sampled in this time. */
#define SAMPLE_INTERVAL (4 * CLOCK_MILLISECOND)

#define STEP_MIN   16 /* nanoseconds */
#define STEP_SHARE 16
#define DELAY_MAX  CLOCK_MILLISECOND /* a longer delay has another cause */

void tx_delay_begin_batch(struct tx_delay *tx_delay, int64_t now)
{
	tx_delay->warm = tx_delay->awake || now - tx_delay->last < WARM_TIME;
	tx_delay->awake = true;
	tx_delay->last = now;
}

/* The first reply of a batch and the last one in turn: most clients get a first one, and the last
 * one shows the time that each reply takes. */
int tx_delay_choose_sample(struct tx_delay *tx_delay, unsigned replies)
{
	if (replies == 0 || tx_delay->last < tx_delay->sample_next)
		return -1;
	tx_delay->sample_next = tx_delay->last + SAMPLE_INTERVAL;
	return tx_delay->samples++ % 2 == 0 ? 0 : (int)replies - 1;
}

/* Moves estimate one step, a fraction of itself, towards sample: it settles at the median. */
static void approach(int64_t *estimate, int64_t sample)
{
	int64_t step = *estimate / STEP_SHARE + STEP_MIN, difference = sample - *estimate;

	if (*estimate == 0)
		step = sample; /* the first sample */
	if (difference > step)
		difference = step;
	if (difference < -step)
		difference = -step;
	*estimate += difference;
	if (*estimate < 0)
		*estimate = 0;
}

void tx_delay_update(struct tx_delay *tx_delay, unsigned position, clock_ntp_time sent)
{
	int64_t delay = clock_span_from_ntp((clock_ntp_span)(sent - tx_delay->clock));
	int64_t *first = &tx_delay->first[tx_delay->warm];

	if (delay < 0 || delay > DELAY_MAX)
		return;
	if (position == 0)
		approach(first, delay);
	else
		approach(&tx_delay->next, (delay - *first) / (int64_t)position);
}
