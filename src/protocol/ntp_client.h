/* Judging what comes back from an NTP server: for whoever asks one, the client as well as the
 * clock monitor that follows another server. Pure. */
#ifndef PROTOCOL_NTP_CLIENT_H
#define PROTOCOL_NTP_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/ntp_packet.h"

/* A question that was asked, and when something came back. */
struct ntp_client_exchange {
	clock_ntp_time nonce; /* sent as the transmit time, random; 0: nothing was asked */
	clock_ntp_time sent, received;
};

enum ntp_client_verdict {
	NTP_CLIENT_OK,
	/* It is no answer to the question: as though it had not come. Anyone can send it. */
	NTP_CLIENT_SHORT,
	NTP_CLIENT_ORIGIN,
	NTP_CLIENT_MODE,
	NTP_CLIENT_VERSION,
	/* It is the server's own, and its clock is not synchronised. */
	NTP_CLIENT_KISS, /* stratum 0: its reference identifier says why */
	NTP_CLIENT_LEAP,
	NTP_CLIENT_STRATUM,
	NTP_CLIENT_NO_TIME,
	NTP_CLIENT_BACKWARDS,
	NTP_CLIENT_DISTANCE,
	/* What only whoever follows the server finds wrong with it. */
	NTP_CLIENT_OFFSET,
	NTP_CLIENT_STRATUM_LAST,
};

/* Judges an answer up to its root distance, in the order in which an answer can be believed
 * (RFC 5905 section 8, RFC 9109), and sets packet, for NTP_CLIENT_SHORT to nothing of use. */
enum ntp_client_verdict ntp_client_check(struct ntp_packet *packet,
					 const struct ntp_client_exchange *exchange,
					 const void *bytes, size_t size);

static inline bool ntp_client_is_reply(enum ntp_client_verdict verdict)
{
	return verdict == NTP_CLIENT_OK || verdict > NTP_CLIENT_VERSION;
}

/* The server's own share in how wrong it may be: half of the way to its reference and back, and its
 * root dispersion (RFC 5905 section 11.2.3). */
uint64_t ntp_client_root_distance(const struct ntp_packet *packet);

/* The four times of an exchange worked into what they tell (RFC 5905 section 8). */
struct ntp_client_measurement {
	clock_ntp_span offset; /* of the server's clock from this one: positive where it is ahead */
	clock_ntp_span delay;  /* of the two ways together, not negative */
};

/* The times are a server's that is not to be trusted yet: whatever they are, nothing overflows.
 * The exchange was not received before it was sent. */
struct ntp_client_measurement ntp_client_measure(const struct ntp_client_exchange *exchange,
						 const struct ntp_packet *packet);

/* What is wrong, in words that follow the server's name. */
const char *ntp_client_describe(enum ntp_client_verdict verdict);

#endif
