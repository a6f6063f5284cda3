/* Time formats, and reading the clocks. */
#ifndef CLOCK_CLOCK_H
#define CLOCK_CLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

/* Spans, in nanoseconds. */
#define CLOCK_SECOND	  INT64_C(1000000000)
#define CLOCK_MILLISECOND (CLOCK_SECOND / 1000)

#define CLOCK_DAY 86400 /* seconds */

/* The earlier of two times on one clock. */
static inline int64_t clock_earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* A second of the system clock, and its calendar time in the host's time zone. */
struct clock_second {
	time_t seconds; /* since 1970-01-01 00:00:00 UTC */
	struct tm local;
	bool valid; /* false before the first reading, and for years that struct tm cannot hold */
};

/* A time in NTP's 64-bit format: seconds since 1900-01-01 00:00:00 UTC, modulo 2^32, above a 32-bit
 * fraction (RFC 5905 section 6). 0 means: unknown. */
typedef uint64_t clock_ntp_time;

/* The difference of two such times, right across eras as long as it is below 68 years; a fraction
 * of 2^-32 s is its unit. */
typedef int64_t clock_ntp_span;

/* Converts any time; eras wrap. */
clock_ntp_time clock_to_ntp(const struct timespec *time);

/* Converts a span of nanoseconds, of less than 68 years, and back, rounding towards zero. */
clock_ntp_span clock_span_to_ntp(int64_t nanoseconds);
int64_t clock_span_from_ntp(clock_ntp_span span);

/* A span in NTP's 32-bit short format: seconds with a 16-bit fraction (RFC 5905 section 6). */
typedef uint32_t clock_ntp_short;

#define CLOCK_SHORT_SECOND (UINT32_C(1) << 16)

/* The magnitude of span in the short format, rounded up; UINT32_MAX for longer ones. */
clock_ntp_short clock_short_from_span(clock_ntp_span span);

/* The sum; UINT32_MAX if that is less. */
clock_ntp_short clock_short_add(clock_ntp_short a, clock_ntp_short b);

/* The system clock in NTP format. */
clock_ntp_time clock_read_ntp(void);

/* The precision of the clock: the binary logarithm of the seconds that reading it takes, or of its
 * resolution if that is more (RFC 5905 section 7.3). Takes some microseconds: measure once. */
int8_t clock_measure_precision(void);

/* Reads the system clock, sets second to the present one, and returns the time. The calendar time
 * is computed once a second. second is zero-initialised, one for each thread. */
clock_ntp_time clock_read_second(struct clock_second *second);

/* The system clock: nanoseconds since 1970-01-01 00:00:00 UTC. */
int64_t clock_realtime(void);

/* The monotonic clock in nanoseconds, for limits and ages. */
int64_t clock_monotonic(void);

/* The same, counting the time in which the machine was suspended. */
int64_t clock_boottime(void);

/* Whether the C library can read the time zone without blocking: its file, which TZ names or
 * /etc/localtime is, must not be a FIFO or a device, and must be readable. If not, writes a line
 * that says so to text. */
bool clock_check_zone(char *text, size_t size);

/* Prepares clock_reload_zone: sets TZ to the file of the time zone. To be called before there are
 * other threads. Does nothing if TZ is a zone without a file, "CET-1". */
void clock_open_zone(void);

/* Reads the file of the time zone again, which may have changed. If that could block, logs a
 * warning; the zone stays as it is. */
void clock_reload_zone(void);

#endif
