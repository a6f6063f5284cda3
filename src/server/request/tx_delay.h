/* The transmit delay: from reading the clock to the network interface, as the kernel's transmit
 * stamps showed it for earlier replies.
 *
 * Without it every transmit stamp would be early by the time in the kernel, and every client's
 * offset wrong by half of that. The delay is longer for a worker that was just woken, whose caches
 * are cold, and each reply of a batch waits for those before it. */
#ifndef SERVER_TX_DELAY_H
#define SERVER_TX_DELAY_H

#include <stdbool.h>

#include "clock/clock.h"

struct tx_delay {
	int64_t first[2]; /* nanoseconds, for the first reply of a batch: cold, warm */
	int64_t next;	  /* nanoseconds more for each reply after it */

	/* The present batch: */
	bool warm;
	clock_ntp_time clock; /* read just before its replies are written */

	int64_t last, sample_next; /* on the monotonic clock */
	unsigned samples;
	bool awake; /* the worker has not waited since the last batch */
};

/* Begins a batch at now, on the monotonic clock. */
void tx_delay_begin_batch(struct tx_delay *tx_delay, int64_t now);

/* The worker is about to wait, and its caches may go cold. */
static inline void tx_delay_wait(struct tx_delay *tx_delay)
{
	tx_delay->awake = false;
}

/* Sets the clock reading that predictions start from. */
static inline void tx_delay_set_clock(struct tx_delay *tx_delay, clock_ntp_time clock)
{
	tx_delay->clock = clock;
}

/* The time at which the reply at a position of the batch, from 0, will leave. */
static inline clock_ntp_time tx_delay_predict(const struct tx_delay *tx_delay, unsigned position)
{
	int64_t delay = tx_delay->first[tx_delay->warm] + tx_delay->next * (int64_t)position;

	return tx_delay->clock + (clock_ntp_time)clock_span_to_ntp(delay);
}

/* The position of the reply to sample, among replies of them; -1: none. */
int tx_delay_choose_sample(struct tx_delay *tx_delay, unsigned replies);

/* Takes the time at which the sampled reply left. The estimate is a median, not a mean, so that a
 * reply delayed for long counts no more than one delayed a little. */
void tx_delay_update(struct tx_delay *tx_delay, unsigned position, clock_ntp_time sent);

#endif
