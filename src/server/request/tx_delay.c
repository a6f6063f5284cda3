#include "server/request/tx_delay.h"

/* A worker that had something to do so short a time ago has not slept since, or not soundly. */
#define WARM_TIME (CLOCK_MILLISECOND / 10)

/* One reply in so long a time is watched, however many there are. */
#define SAMPLE_INTERVAL (4 * CLOCK_MILLISECOND)

#define STEP_MIN   16 /* nanoseconds */
#define STEP_SHARE 16
#define DELAY_MAX  CLOCK_MILLISECOND /* whoever takes longer was waiting for something else */

void tx_delay_begin_batch(struct tx_delay *tx_delay, int64_t now)
{
	tx_delay->warm = now - tx_delay->last < WARM_TIME;
	tx_delay->last = now;
}

/* The first of a batch and the last of one by turns: the one is what most clients get, the other
 * shows how much longer each takes. */
int tx_delay_choose_sample(struct tx_delay *tx_delay, unsigned replies)
{
	if (replies == 0 || tx_delay->last < tx_delay->sample_next)
		return -1;
	tx_delay->sample_next = tx_delay->last + SAMPLE_INTERVAL;
	return tx_delay->turn++ % 2 == 0 ? 0 : (int)replies - 1;
}

/* Moves estimate a step towards sample, a part of what it is: that ends where as many samples lie
 * above as below. */
static void approach(int64_t *estimate, int64_t sample)
{
	int64_t step = *estimate / STEP_SHARE + STEP_MIN, difference = sample - *estimate;

	if (*estimate == 0)
		step = sample; /* nothing is known yet */
	if (difference > step)
		difference = step;
	if (difference < -step)
		difference = -step;
	*estimate += difference;
	if (*estimate < 0)
		*estimate = 0;
}

void tx_delay_update(struct tx_delay *tx_delay, unsigned position, clock_ntp_time left)
{
	int64_t delay = clock_span_from_ntp((clock_ntp_span)(left - tx_delay->clock));
	int64_t *first = &tx_delay->first[tx_delay->warm];

	if (delay < 0 || delay > DELAY_MAX)
		return;
	if (position == 0)
		approach(first, delay);
	else
		approach(&tx_delay->next, (delay - *first) / (int64_t)position);
}
