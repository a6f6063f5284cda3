/* When a reply will be on its way: the delay from reading the clock to the network interface, as
 * the kernel's stamps have shown it for earlier replies.
 *
 * Without this every transmit stamp would be early by the way through the kernel, and every
 * client's offset wrong by half of that. The way is longer for a worker that has just been woken,
 * whose caches are cold, and each reply of a batch waits for those before it. */
#ifndef SERVER_TX_DELAY_H
#define SERVER_TX_DELAY_H

#include <stdbool.h>

#include "clock/clock.h"

struct tx_delay {
	int64_t first[2]; /* nanoseconds for the first reply of a batch: cold, hot */
	int64_t next;	  /* and more for each reply after it */

	/* Of the present batch: */
	bool warm;
	clock_ntp_time clock; /* what its stamps are reckoned from */

	int64_t last, sample_next; /* on the monotonic clock: the batch before, the next to watch */
	unsigned turn;
};

/* Begins a batch at now, on the monotonic clock. */
void tx_delay_begin_batch(struct tx_delay *tx_delay, int64_t now);

/* Begins to reckon its stamps, from a time just read. */
static inline void tx_delay_set_clock(struct tx_delay *tx_delay, clock_ntp_time clock)
{
	tx_delay->clock = clock;
}

/* The time at which reply number position, from 0, will leave. */
static inline clock_ntp_time tx_delay_predict(const struct tx_delay *tx_delay, unsigned position)
{
	int64_t delay = tx_delay->first[tx_delay->warm] + tx_delay->next * (int64_t)position;

	return tx_delay->clock + (clock_ntp_time)clock_span_to_ntp(delay);
}

/* Which of so many replies is to be watched on its way; -1: none, it was done a moment ago. */
int tx_delay_choose_sample(struct tx_delay *tx_delay, unsigned replies);

/* Learns when the one that was watched did leave. What is learned is a median, not a mean: a reply
 * that was held up for long teaches no more than one that was held up a little. */
void tx_delay_update(struct tx_delay *tx_delay, unsigned position, clock_ntp_time left);

#endif
