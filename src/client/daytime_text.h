/* Parsing the texts of Daytime servers. RFC 867 does not define a format; these are the usual
 * ones. */
#ifndef CLIENT_DAYTIME_TEXT_H
#define CLIENT_DAYTIME_TEXT_H

#include <stdbool.h>
#include <stdint.h>

struct daytime_text {
	int64_t seconds;     /* since 1970-01-01 00:00:00 UTC; years from 1900 to 2199 */
	bool has_zone;	     /* otherwise the local zone is assumed */
	int64_t extra_error; /* nanoseconds, in addition to the resolution of a second */
};

enum daytime_result {
	DAYTIME_OK,
	DAYTIME_NO_ZONE, /* a date with a zone that is not known */
	DAYTIME_NO_DATE, /* any other text */
};

/* Parses the formats of ctime(3), date(1), xinetd (22 NOV 2026 19:15:08 UTC), NIST (JJJJJ YR-MO-DA
 * HH:MM:SS ...), Windows (3:03:50 PM 11/26/2026), ISO 8601 and the examples of RFC 867. A zone may
 * follow: UTC, GMT, EST and the like (RFC 5322 section 4.3), an offset, or the name of the local
 * zone. If the text can be read in two ways (day and month of Windows), the date nearer to now is
 * taken. Sets parsed if it returns DAYTIME_OK. now: seconds since 1970. */
enum daytime_result daytime_text_parse(const char *text, int64_t now, struct daytime_text *parsed);

#endif
