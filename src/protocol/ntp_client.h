/* Judging what comes back from an NTP server: for whoever asks one, the client as well as the
 * watcher that follows another server. Pure. */
#ifndef PROTOCOL_NTP_CLIENT_H
#define PROTOCOL_NTP_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/ntp_packet.h"

/* A question that was asked, and when something came back. */
struct ntp_exchange {
	clock_ntp_time nonce; /* sent as the transmit time, random; 0: nothing was asked */
	clock_ntp_time sent, received;
};

enum ntp_verdict {
	NTP_ANSWER_GOOD,
	/* It is no answer to the question: as though it had not come. Anyone can send it. */
	NTP_ANSWER_SHORT,
	NTP_ANSWER_ORIGIN,
	NTP_ANSWER_MODE,
	NTP_ANSWER_VERSION,
	/* It is the server's own, and its clock is not synchronised. */
	NTP_ANSWER_KISS, /* stratum 0: its reference identifier says why */
	NTP_ANSWER_LEAP,
	NTP_ANSWER_STRATUM,
	NTP_ANSWER_NO_TIME,
	NTP_ANSWER_BACKWARDS,
	NTP_ANSWER_DISTANCE,
	/* What only whoever follows the server finds wrong with it. */
	NTP_ANSWER_OFFSET,
	NTP_ANSWER_DEEP,
};

/* Judges an answer up to its root distance, in the order in which an answer can be believed
 * (RFC 5905 section 8, RFC 9109), and sets packet, for NTP_ANSWER_SHORT to nothing of use. */
enum ntp_verdict ntp_answer_read(struct ntp_packet *packet, const struct ntp_exchange *exchange,
				 const void *bytes, size_t size);

static inline bool ntp_answer_is_to_question(enum ntp_verdict verdict)
{
	return verdict == NTP_ANSWER_GOOD || verdict > NTP_ANSWER_VERSION;
}

/* The server's own share in how wrong it may be: half of the way to its reference and back, and its
 * root dispersion (RFC 5905 section 11.2.3). */
uint64_t ntp_root_distance(const struct ntp_packet *packet);

/* The four times of an exchange worked into what they tell (RFC 5905 section 8). */
struct ntp_measurement {
	clock_ntp_span offset; /* of the server's clock from this one: positive where it is ahead */
	clock_ntp_span delay;  /* of the two ways together, not negative */
};

/* The times are a server's that is not to be trusted yet: whatever they are, nothing overflows.
 * The exchange was not received before it was sent. */
struct ntp_measurement ntp_measure(const struct ntp_exchange *exchange,
				   const struct ntp_packet *packet);

/* What is wrong, in words that follow the server's name. */
const char *ntp_answer_describe(enum ntp_verdict verdict);

#endif
