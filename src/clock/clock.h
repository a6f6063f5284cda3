/* Reading the clocks: what time it is, what the host's time zone makes of it, how much time has
 * gone by. */
#ifndef CLOCK_CLOCK_H
#define CLOCK_CLOCK_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

/* Spans, in nanoseconds. */
#define CLOCK_SECOND	  INT64_C(1000000000)
#define CLOCK_MILLISECOND (CLOCK_SECOND / 1000)

/* A second of the system clock, with its calendar in the host's time zone. */
struct clock_second {
	time_t seconds; /* since 1970-01-01 00:00:00 UTC */
	struct tm local;
	bool valid; /* false before the first reading, and where no calendar has that year */
};

/* Makes second the present one. The calendar is worked out once a second: between two calls
 * within a second this is one clock reading. second is the caller's own, zero-initialised, one a
 * thread. */
void clock_read_second(struct clock_second *second);

/* Nanoseconds on the clock that no one can step, for limits and ages. */
int64_t clock_monotonic(void);

/* Reads the host's time zone file (or TZ) anew; without this a changed /etc/localtime goes
 * unseen. */
void clock_reload_zone(void);

#endif
