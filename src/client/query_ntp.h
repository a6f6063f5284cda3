/* NTP (RFC 5905) as a client that tells nothing of itself: every field of the request but a random
 * transmit time is zero (RFC 9109). */
#ifndef CLIENT_QUERY_NTP_H
#define CLIENT_QUERY_NTP_H

#include "client/query.h"
#include "client/udp.h"

/* The scheme's ask function. */
void query_ntp(const struct query *query, struct sample *sample);

/* Writes a request and judges what came back, as reply.h has it. Pure. A server that says it is
 * not synchronised is doubted; one that says it may be off by more than a second is not: that is in
 * the bound. */
extern const struct udp_protocol query_ntp_protocol;

#endif
