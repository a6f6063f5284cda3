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

/* Parses the formats of ctime(3), xinetd (22 NOV 2026 19:15:08 UTC), NIST (JJJJJ YR-MO-DA HH:MM:SS
 * ...), ISO 8601 and the example of RFC 867. A zone may follow: UTC, GMT, an offset, or the name of
 * the local zone. Returns false for anything else. */
bool daytime_text_parse(const char *text, struct daytime_text *parsed);

#endif
