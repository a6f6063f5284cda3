/* What a protocol is: one file and one row.
 *
 * A protocol turns a request into a reply and knows nothing else: no socket, no thread, no global,
 * no allocation. The row gives the server everything: the word in the configuration, the port, the
 * labels. */
#ifndef PROTOCOL_PROTOCOL_H
#define PROTOCOL_PROTOCOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "clock/clock.h"
#include "clock/clock_state.h"

/* No reply of any protocol is longer than this. */
#define PROTOCOL_REPLY_MAX 64

enum transport {
	TRANSPORT_TCP,
	TRANSPORT_UDP,
};

/* How admission has judged a request. */
enum verdict {
	VERDICT_ADMIT,
	VERDICT_LIMITED, /* above its prefix's rate: a protocol that can say so may */
	VERDICT_DENIED,	 /* not allowed to ask: likewise */
};

struct protocol_request {
	const void *bytes; /* what came; nothing over TCP */
	size_t size;
	uint16_t peer_port;
	enum verdict verdict;
	const struct clock_second *now;	 /* the time to tell, for people */
	const struct clock_state *clock; /* and how far to trust it */
	clock_ntp_time receive;		 /* when the request arrived */
	clock_ntp_time transmit;	 /* when the reply will leave */
	int8_t precision;		 /* of the clock: see clock_measure_precision */
};

struct protocol {
	const char *word; /* in the configuration: "daytime/tcp" */
	const char *name; /* "daytime" */
	enum transport transport;
	uint16_t port; /* assigned by IANA */

	/* It answers whatever comes, so over UDP two of its kind could be made to answer each other
	 * for ever: its requests pass the loop guard, and a limit of their rate unless configured
	 * otherwise. Nor does it tell how far its time can be trusted: see "require-sync". */
	bool answers_anything;

	/* Writes the reply; nothing written, or a writer that failed, means silence. NULL: it takes
	 * a process of its own to answer, and no worker does. */
	void (*reply)(const struct protocol_request *request, struct bytes_writer *reply);
};

/* RFC 867: the time as one line of text, whatever the client sends: "Sun Nov 22 19:15:08 2026\r\n".
 * As ctime(3) has it: in English and in the host's time zone. Silent outside the years 1000 to
 * 9999, which that form cannot hold. */
void daytime_reply(const struct protocol_request *request, struct bytes_writer *reply);

/* RFC 868: seconds since 1900-01-01 00:00:00 UTC, modulo 2^32, in four bytes, whatever the client
 * sends. */
void time_reply(const struct protocol_request *request, struct bytes_writer *reply);

/* RFC 5905, the server's part, for versions 1 to 4: answers modes 3 and 1, and mode 0 of version 1
 * from a port other than 123, with 48 bytes. Extension fields (RFC 7822) are passed over. Silent to
 * everything else: other modes and versions, lengths that do not add up, authenticators, which it
 * could not verify. A request that was limited or denied is answered by a kiss code (section
 * 7.4). */
void ntp_reply(const struct protocol_request *request, struct bytes_writer *reply);

/* Whether a datagram looks like an answer of Daytime, Time or NTP, which two servers on ports of
 * their own choice could be made to send each other for ever. now is the time that such an answer
 * would hold. */
bool protocol_is_reply(const void *bytes, size_t size, time_t now);

/* The table. */
#define PROTOCOL_COUNT 6
extern const struct protocol protocol_table[PROTOCOL_COUNT];

/* Where in the table a row stands: 0 to PROTOCOL_COUNT - 1. */
static inline size_t protocol_index(const struct protocol *protocol)
{
	return (size_t)(protocol - protocol_table);
}

/* Finds a row by its word in the configuration, such as "daytime/tcp"; NULL if there is none. */
const struct protocol *protocol_find(const char *word);

/* Room for the longest word and its end. */
#define PROTOCOL_WORD_SIZE 24

/* "tcp" or "udp". */
const char *transport_name(enum transport transport);

#endif
