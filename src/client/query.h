/* Querying a server for the time, by one of several schemes. A new scheme is a file query_NAME.c, a
 * prototype here and a row in query.c. */
#ifndef CLIENT_QUERY_H
#define CLIENT_QUERY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/address.h"
#include "client/resolve.h"
#include "client/sample.h"

struct udp_protocol;

/* Addresses that have denied access and are not queried again (RFC 5905 section 7.4). */
struct query_denied {
	struct address addresses[RESOLVE_MAX]; /* a ring, of the last ones */
	size_t count;
};

struct query {
	const struct address *addresses; /* of the server, with its port, in order of preference */
	size_t address_count;
	int64_t deadline;	     /* on the monotonic clock */
	const char *timeout;	     /* the seconds up to the deadline as the user wrote them */
	struct query_denied *denied; /* what denies access to this query is added */
};

struct query_scheme {
	const char *name; /* as in NAME://HOST */
	uint16_t port;	  /* assigned by IANA */

	/* Queries the server and fills in a zeroed sample. Returns by the deadline. Thread-safe. */
	void (*query)(const struct query *query, struct sample *sample);
};

/* The first scheme is the default. */
extern const struct query_scheme query_schemes[];
extern const size_t query_scheme_count;

/* The scheme of the name that length characters spell, in upper or lower case; NULL if there is
 * none. */
const struct query_scheme *query_find_scheme(const char *name, size_t length);

/* Daytime (RFC 867): the server sends a line of text in a form of its choice. Over TCP the reply
 * ends when the server closes, or 200 ms after a complete line. */
void query_daytime(const struct query *query, struct sample *sample);
void query_daytime_udp(const struct query *query, struct sample *sample);

/* Parses a Daytime reply: one line of 1 to SAMPLE_TEXT_MAX printable ASCII characters, between any
 * number of CR and LF, and a NUL at the end. Given local_time and delay, sets valid, text and,
 * for a text that is a known date, the offset or zone_unknown; or error. Returns valid. */
bool query_daytime_parse(struct sample *sample, const void *bytes, size_t size);

/* Time (RFC 868): the server sends four bytes, the seconds since 1900 modulo 2^32. */
void query_time(const struct query *query, struct sample *sample);
void query_time_udp(const struct query *query, struct sample *sample);

/* Parses a Time reply. The era is the one nearest to local_time: right if that is off by less than
 * 68 years. Given local_time and delay, sets valid and the offset; or error. Returns valid. */
bool query_time_parse(struct sample *sample, const void *bytes, size_t size);

/* NTP (RFC 5905). The request discloses nothing: all fields are zero, except the version, the mode
 * and a random transmit time (RFC 9109). */
void query_ntp(const struct query *query, struct sample *sample);

/* Writes a request and checks a reply, see udp.h. Pure. The reply of an unsynchronised server is
 * unusable; a root distance above a second is not an error, since it is part of the bound. */
extern const struct udp_protocol query_ntp_protocol;

#endif
