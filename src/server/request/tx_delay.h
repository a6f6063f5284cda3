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

struct departure {
	int64_t first[2]; /* nanoseconds for the first reply of a batch: cold, hot */
	int64_t next;	  /* and more for each reply after it */

	/* Of the present batch: */
	bool hot;
	clock_ntp_time clock; /* what its stamps are reckoned from */

	int64_t last, watch_next; /* on the monotonic clock: the batch before, the next to watch */
	unsigned turn;
};

/* Begins a batch at now, on the monotonic clock. */
void departure_begin(struct departure *departure, int64_t now);

/* Begins to reckon its stamps, from a time just read. */
static inline void departure_reckon(struct departure *departure, clock_ntp_time clock)
{
	departure->clock = clock;
}

/* The time at which reply number position, from 0, will leave. */
static inline clock_ntp_time departure_expect(const struct departure *departure, unsigned position)
{
	int64_t delay = departure->first[departure->hot] + departure->next * (int64_t)position;

	return departure->clock + (clock_ntp_time)clock_span_to_ntp(delay);
}

/* Which of so many replies is to be watched on its way; -1: none, it was done a moment ago. */
int departure_watch(struct departure *departure, unsigned replies);

/* Learns when the one that was watched did leave. What is learned is a median, not a mean: a reply
 * that was held up for long teaches no more than one that was held up a little. */
void departure_learn(struct departure *departure, unsigned position, clock_ntp_time left);

#endif
