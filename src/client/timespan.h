/* Time spans, and times of clock_monotonic: nanoseconds in an int64_t. */
#ifndef CLIENT_TIMESPAN_H
#define CLIENT_TIMESPAN_H

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "clock/clock.h"

struct timespec timespan_to_timespec(int64_t span);

/* poll(2) until the monotonic time until, restarted after signals. Returns the number of ready
 * descriptors, 0 at that time, or -1 with errno set. */
int timespan_poll(struct pollfd *descriptors, nfds_t count, int64_t until);

/* Adds a span, which may be negative. */
struct timespec timespan_add(struct timespec time, int64_t span);

static inline int64_t timespan_magnitude(int64_t span)
{
	return span < 0 ? -span : span;
}

/* Parses decimal seconds such as 5, 0.25 or .5, from minimum to maximum (at most a year), truncated
 * to nanoseconds. Returns false without setting span for anything else. */
bool timespan_parse(const char *text, int64_t minimum, int64_t maximum, int64_t *span);

#endif
