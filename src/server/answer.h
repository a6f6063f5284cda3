/* What the answer of an NTP server says of the system clock: bytes and times in, a state of the
 * clock or a named reason to doubt it out. No input, no output. */
#ifndef SERVER_ANSWER_H
#define SERVER_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/address.h"
#include "clock/state.h"

/* A clock that differs by more than this from the server's, beyond what the way to the server and
 * back accounts for, is not the clock that the server speaks of, or one of the two was set. */
#define ANSWER_OFFSET_MAX (128 * CLOCK_MILLISECOND)

/* The question, and what is known of whoever was asked. */
struct answer_context {
	clock_ntp_time nonce; /* sent as the transmit time, random; 0: nothing was asked */
	clock_ntp_time sent, received;
	int64_t monotonic;     /* when it was received, for the state */
	bool same_host;	       /* the server steers this very clock */
	uint32_t reference_id; /* what names the server: see answer_reference_id */
};

enum answer_verdict {
	ANSWER_GOOD,
	/* It is no answer to the question: as though it had not come. Anyone can send it. */
	ANSWER_SHORT,
	ANSWER_ORIGIN,
	ANSWER_MODE,
	ANSWER_VERSION,
	/* It is the server's own, and the clock is not synchronised. */
	ANSWER_KISS, /* stratum 0: its reference identifier says why */
	ANSWER_LEAP,
	ANSWER_STRATUM,
	ANSWER_NO_TIME,
	ANSWER_BACKWARDS,
	ANSWER_DISTANCE,
	ANSWER_OFFSET,
	ANSWER_DEEP,
};

/* Judges an answer, in the order in which an answer can be believed. For ANSWER_GOOD state is what
 * to say of the system clock. Where the answer is not to the question, up to ANSWER_VERSION, state
 * is left alone. For all others it is that of a clock that is not synchronised. kiss is set for
 * ANSWER_KISS only.
 *
 * A server on this host speaks of the clock that it steers, and is quoted. Of another one this host
 * is a client (RFC 5905 section 11.2.3), one stratum below it. In both cases the root dispersion
 * grows by what separates the two clocks, and by what the way there could hide. */
enum answer_verdict answer_judge(const struct answer_context *context, const void *bytes,
				 size_t size, struct clock_state *state, uint32_t *kiss);

static inline bool answer_is_to_question(enum answer_verdict verdict)
{
	return verdict == ANSWER_GOOD || verdict > ANSWER_VERSION;
}

/* What is wrong, in words that follow the server's name. */
const char *answer_describe(enum answer_verdict verdict);

/* What names a server as a reference: its IPv4 address; of an IPv6 address a hash, FNV-1a of 32
 * bits where RFC 5905 section 7.3 has the start of an MD5 sum: nothing depends on the two agreeing,
 * except that a loop through IPv6 is told by the growing stratum alone. */
uint32_t answer_reference_id(const struct address *server);

#endif
