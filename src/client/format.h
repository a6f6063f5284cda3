/* Times and spans in words and figures, for people. */
#ifndef CLIENT_FORMAT_H
#define CLIENT_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "client/query.h"

#define FORMAT_SIZE 512

/* How things are to be written. */
struct format_style {
	bool utf8;	    /* the reader's character set has µ and ±; otherwise u and +/- */
	bool utc;	    /* times in UTC, not in the host's zone */
	const char *format; /* of times, as strftime(3) has it, in the reader's language; NULL: ISO
			       8601 as people write it */
};

/* "1.24 ms": seconds, milliseconds or microseconds, whichever fits; of a negative span its
 * magnitude. From 1000 s on "00:16:40", or "2 days 03:04:05". */
const char *format_span(char text[static FORMAT_SIZE], int64_t span,
			const struct format_style *style);

/* "1.24 ms behind", as this machine's clock is when the offset of the other one is positive. */
const char *format_offset(char text[static FORMAT_SIZE], int64_t offset,
			  const struct format_style *style);

/* "± 0.31 ms", in the unit that offset is written in where that gives a figure to be read. */
const char *format_bound(char text[static FORMAT_SIZE], int64_t bound, int64_t offset,
			 const struct format_style *style);

/* "2026-11-22 19:15:08.123456 UTC"; whole: without the fraction. Where no calendar has that year,
 * seconds since 1970. */
const char *format_time(char text[static FORMAT_SIZE], const struct timespec *time, bool whole,
			const struct format_style *style);

/* "none", "insert", "delete" or "unknown". */
const char *format_leap(unsigned leap);

/* "stratum 2, leap none". */
const char *format_server(char text[static FORMAT_SIZE], const struct ntp_packet *packet);

/* How many columns a phrase takes: all of it is ASCII, but for µ and ±. */
size_t format_width(const char *text);

#endif
