/* Moments and spans: a moment is what clock_monotonic gives, and every deadline is one. */
#ifndef CLIENT_TIMESPAN_H
#define CLIENT_TIMESPAN_H

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "clock/clock.h"

/* The same moment as POSIX calls on CLOCK_MONOTONIC want it. */
struct timespec timespan_to_timespec(int64_t moment);

/* Polls until something is ready or the moment until has come, however often signals interrupt.
 * Returns how many descriptors are ready, 0 when the moment has come, -1 with errno set. */
int timespan_poll(struct pollfd *descriptors, nfds_t count, int64_t until);

/* The time span nanoseconds later, or earlier if span is negative. */
struct timespec timespan_add(struct timespec time, int64_t span);

/* The absolute value. */
static inline int64_t timespan_magnitude(int64_t span)
{
	return span < 0 ? -span : span;
}

/* Reads text, decimal seconds such as 5, 0.25 or .5, as a span from minimum to maximum (at most a
 * year). What is finer than a nanosecond is dropped. Returns false, and leaves span alone, for
 * anything else. */
bool timespan_parse(const char *text, int64_t minimum, int64_t maximum, int64_t *span);

#endif
