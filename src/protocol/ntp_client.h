/* The client's side of NTP: checks a reply and computes offset and delay. Pure; used by timeclient
 * and by the clock monitor that follows a server. */
#ifndef PROTOCOL_NTP_CLIENT_H
#define PROTOCOL_NTP_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/ntp_packet.h"

/* A request that was sent, and when a reply came. */
struct ntp_client_exchange {
	clock_ntp_time nonce; /* random, sent as the transmit time; 0: no request */
	clock_ntp_time sent, received;
};

enum ntp_client_verdict {
	NTP_CLIENT_OK,
	/* No reply to the request: to be ignored. Anyone can send it. */
	NTP_CLIENT_SHORT,
	NTP_CLIENT_ORIGIN,
	NTP_CLIENT_MODE,
	NTP_CLIENT_VERSION,
	/* The server's reply, and it cannot be used. */
	NTP_CLIENT_KISS, /* stratum 0: its reference identifier says why */
	NTP_CLIENT_LEAP,
	NTP_CLIENT_STRATUM,
	NTP_CLIENT_NO_TIME,
	NTP_CLIENT_BACKWARDS,
	NTP_CLIENT_DISTANCE,
	/* See ntp_reference_from_reply. */
	NTP_CLIENT_OFFSET,
	NTP_CLIENT_STRATUM_LAST,
};

/* Checks a reply (RFC 5905 section 8, RFC 9109): first what shows that it is one, the root distance
 * last. Sets packet, unless it returns NTP_CLIENT_SHORT. */
enum ntp_client_verdict ntp_client_check(struct ntp_packet *packet,
					 const struct ntp_client_exchange *exchange,
					 const void *bytes, size_t size);

static inline bool ntp_client_is_reply(enum ntp_client_verdict verdict)
{
	return verdict == NTP_CLIENT_OK || verdict > NTP_CLIENT_VERSION;
}

/* Half of the root delay and the root dispersion, in the short format (RFC 5905 section 11.2.3). */
uint64_t ntp_client_root_distance(const struct ntp_packet *packet);

/* What the four timestamps tell (RFC 5905 section 8). */
struct ntp_client_measurement {
	clock_ntp_span offset; /* of the server's clock from this one: positive: it is ahead */
	clock_ntp_span delay;  /* of both ways together, not negative */
};

/* No timestamps of a server make it overflow. exchange->received is not before sent. */
struct ntp_client_measurement ntp_client_measure(const struct ntp_client_exchange *exchange,
						 const struct ntp_packet *packet);

/* What is wrong, in words that follow the name of the server. */
const char *ntp_client_describe(enum ntp_client_verdict verdict);

#endif
