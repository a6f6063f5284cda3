/* What the answer of an NTP server says of the system clock: bytes and times in, a state of the
 * clock or a named reason to doubt it out. No input, no output. */
#ifndef PROTOCOL_NTP_REFERENCE_H
#define PROTOCOL_NTP_REFERENCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/address.h"
#include "clock/clock_state.h"
#include "protocol/ntp_client.h"

/* A clock that differs by more than this from the server's, beyond what the way to the server and
 * back accounts for, is not the clock that the server speaks of, or one of the two was set. */
#define NTP_REFERENCE_OFFSET_MAX (128 * CLOCK_MILLISECOND)

/* The question, and what is known of whoever was asked. */
struct ntp_reference_context {
	struct ntp_client_exchange exchange;
	int64_t monotonic;     /* when it was received, for the state */
	bool same_host;	       /* the server steers this very clock */
	uint32_t reference_id; /* what names the server: see ntp_reference_id */
};

/* Judges an answer as ntp_client_check does, and the clock by it. For NTP_CLIENT_OK state is what
 * to say of the system clock. Where the answer is not to the question, state is left alone. For all
 * others it is that of a clock that is not synchronised. kiss is set for NTP_CLIENT_KISS only.
 *
 * A server on this host speaks of the clock that it steers, and is quoted. Of another one this host
 * is a client (RFC 5905 section 11.2.3), one stratum below it. In both cases the root dispersion
 * grows by what separates the two clocks, and by what the way there could hide. */
enum ntp_client_verdict ntp_reference_from_reply(const struct ntp_reference_context *context,
						 const void *bytes, size_t size,
						 struct clock_state *state, uint32_t *kiss);

/* What names a server as a reference: its IPv4 address; of an IPv6 address a hash, FNV-1a of 32
 * bits where RFC 5905 section 7.3 has the start of an MD5 sum: nothing depends on the two agreeing,
 * except that a loop through IPv6 is told by the growing stratum alone. */
uint32_t ntp_reference_id(const struct address *server);

#endif
