/* Formatting times, spans and offsets for people. Every function returns text. */
#ifndef CLIENT_FORMAT_H
#define CLIENT_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "protocol/ntp_packet.h"

#define FORMAT_SIZE 512

struct format_style {
	bool utf8;	    /* µ and ± are available; otherwise u and +/- */
	bool utc;	    /* otherwise the local time zone */
	const char *format; /* of times, for strftime(3) in the user's language; NULL: the
			       format below */
};

/* "1.24 ms": the magnitude in seconds, milliseconds or microseconds; from 1000 s on "00:16:40" or
 * "2 days 03:04:05". */
const char *format_span(char text[static FORMAT_SIZE], int64_t span,
			const struct format_style *style);

/* The same, rounded to the last of two digits of bound, the possible error of span; in the unit of
 * the larger of the two. */
const char *format_rounded(char text[static FORMAT_SIZE], int64_t span, int64_t bound,
			   const struct format_style *style);

/* "1.24 ms behind": this clock, for a positive offset; rounded as above. */
const char *format_offset(char text[static FORMAT_SIZE], int64_t offset, int64_t bound,
			  const struct format_style *style);

/* "± 0.31 ms": two digits, in the unit of offset if that is readable. */
const char *format_bound(char text[static FORMAT_SIZE], int64_t bound, int64_t offset,
			 const struct format_style *style);

/* "-0.49": seconds, rounded as above. */
const char *format_seconds(char text[static FORMAT_SIZE], int64_t span, int64_t bound);

/* "2026-11-22 19:15:08.123456 UTC"; whole: without the fraction. Seconds since 1970 if the year is
 * out of range. */
const char *format_time(char text[static FORMAT_SIZE], const struct timespec *time, bool whole,
			const struct format_style *style);

/* "none", "insert", "delete" or "unknown". */
const char *format_leap(unsigned leap);

/* "stratum 2, leap none". */
const char *format_server(char text[static FORMAT_SIZE], const struct ntp_packet *packet);

/* The number of columns of UTF-8 text. */
size_t format_width(const char *text);

#endif
