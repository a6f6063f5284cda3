/* What the texts of Daytime servers mean: RFC 867 leaves their form open, so this is a list of the
 * usual ones. */
#ifndef CLIENT_DAYTIME_TEXT_H
#define CLIENT_DAYTIME_TEXT_H

#include <stdbool.h>
#include <stdint.h>

struct daytime_text {
	int64_t seconds;     /* since 1970-01-01 00:00:00 UTC; years from 1900 to 2199 */
	bool has_zone;	     /* it names its zone; otherwise this machine's is taken to be meant */
	int64_t extra_error; /* nanoseconds that the text may be off beside its second */
};

/* Reads text: a date as ctime writes it, with a year from 1900 to 2199 as always here; as xinetd
 * does (22 NOV 2026 19:15:08 UTC); as in the example of RFC 867; as NIST does (JJJJJ YR-MO-DA
 * HH:MM:SS ...); by ISO 8601. A zone may follow: UTC, GMT, an offset, or this machine's own by its
 * name. Returns false for anything else. */
bool daytime_text_parse(const char *text, struct daytime_text *parsed);

#endif
