/* The clock state that follows from the reply of an NTP server. Pure: bytes and times in, a state
 * or the reason against it out. */
#ifndef PROTOCOL_NTP_REFERENCE_H
#define PROTOCOL_NTP_REFERENCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/address.h"
#include "clock/clock_state.h"
#include "protocol/ntp_client.h"

/* A clock that differs from the server's by more than this and half of the delay is not
 * synchronised to it, or one of the two was set. */
#define NTP_REFERENCE_OFFSET_MAX (128 * CLOCK_MILLISECOND)

/* The request, and what is known of the server. */
struct ntp_reference_context {
	struct ntp_client_exchange exchange;
	int64_t monotonic;     /* when the reply was received, for the state */
	bool same_host;	       /* the server runs here and steers this clock */
	uint32_t reference_id; /* of the server: see ntp_reference_id */
};

/* Checks a reply as ntp_client_check does, and then the clock by it. For NTP_CLIENT_OK state
 * becomes that of the system clock; where the bytes are no reply to the request, state is left
 * alone; else it becomes unsynchronised. kod is set for NTP_CLIENT_KISS only.
 *
 * The state of a server on this host is that of the clock it steers, and is passed on. Of another
 * server this host is a client (RFC 5905 section 11.2.3), one stratum below it. In both cases the
 * root dispersion includes the offset between the clocks and half of the delay, and the root
 * distance is below CLOCK_DISTANCE_MAX. */
enum ntp_client_verdict ntp_reference_from_reply(const struct ntp_reference_context *context,
						 const void *bytes, size_t size,
						 struct clock_state *state, uint32_t *kod);

/* The reference identifier of a server: its IPv4 address, or a hash of its IPv6 address: 32-bit
 * FNV-1a where RFC 5905 section 7.3 has the start of an MD5 digest. So loops through IPv6 are not
 * detected by the identifier, only by the growing stratum. */
uint32_t ntp_reference_id(const struct address *server);

#endif
