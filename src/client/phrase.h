/* Times and spans in words and figures, for people. */
#ifndef CLIENT_PHRASE_H
#define CLIENT_PHRASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "client/ask.h"

#define PHRASE_SIZE 512

/* How things are to be written. */
struct phrase_style {
	bool utf8;	    /* the reader's character set has µ and ±; otherwise u and +/- */
	bool utc;	    /* times in UTC, not in the host's zone */
	const char *format; /* of times, as strftime(3) has it, in the reader's language; NULL: ISO
			       8601 as people write it */
};

/* "1.24 ms": seconds, milliseconds or microseconds, whichever fits; of a negative span its
 * magnitude. From 1000 s on "00:16:40", or "2 days 03:04:05". */
const char *phrase_span(char text[static PHRASE_SIZE], int64_t span,
			const struct phrase_style *style);

/* "1.24 ms behind", as this machine's clock is when the offset of the other one is positive. */
const char *phrase_offset(char text[static PHRASE_SIZE], int64_t offset,
			  const struct phrase_style *style);

/* "± 0.31 ms", in the unit that offset is written in where that gives a figure to be read. */
const char *phrase_bound(char text[static PHRASE_SIZE], int64_t bound, int64_t offset,
			 const struct phrase_style *style);

/* "2026-11-22 19:15:08.123456 UTC"; whole: without the fraction. Where no calendar has that year,
 * seconds since 1970. */
const char *phrase_time(char text[static PHRASE_SIZE], const struct timespec *time, bool whole,
			const struct phrase_style *style);

/* "none", "insert", "delete" or "unknown". */
const char *phrase_leap(unsigned leap);

/* "stratum 2, leap none". */
const char *phrase_server(char text[static PHRASE_SIZE], const struct ntp_packet *packet);

/* How many columns a phrase takes: all of it is ASCII, but for µ and ±. */
size_t phrase_width(const char *text);

#endif
