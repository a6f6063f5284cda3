/* Requests over UDP: the straight line, a batch at a time.
 *
 *	receive    a batch: bytes, peer, local address, the kernel's arrival stamp
 *	admit      source, access list, loop guard, rate: a drop, or a KoD, or a reply
 *	prepare    the slow half of the protocol
 *	clock      the transmit stamp, as late as possible
 *	reply      the protocol: request, stamps and clock state in, bytes out
 *	send       in one call, then count
 *
 * Both ends, receive and send, are in udp_io.h and can be replaced. */
#ifndef SERVER_DATAGRAMS_H
#define SERVER_DATAGRAMS_H

#include <stdbool.h>
#include <stdint.h>

#include "server/request/admission.h"
#include "server/request/datagram.h"
#include "server/request/service.h"
#include "server/request/tx_delay.h"
#include "stats/top_clients.h"

struct udp_io;

struct datagrams {
	const struct service *service;
	struct counters *counters;
	struct top_clients *top_clients;
	struct admission admission;
	struct tx_delay tx_delay;
	struct clock_second second;
	struct udp_io *io;
	struct interfaces interfaces; /* a copy of what the service publishes */
	unsigned interfaces_sequence;

	/* The present batch: */
	struct datagram items[DATAGRAM_BATCH];
	unsigned count;
};

/* Prepares for datagrams; service, counters and top_clients are set, all else is zero. Returns
 * false if memory is short; it may be called again then. */
bool datagrams_open(struct datagrams *datagrams);

void datagrams_close(struct datagrams *datagrams);

/* Serves one batch of what waits on a listener, so that other listeners get their turn. now is on
 * the monotonic clock. Returns whether there may be more. */
bool datagrams_serve(struct datagrams *datagrams, const struct listener *listener, int64_t now);

/* Serves all that waits on a listener that is about to be closed. */
void datagrams_drain_listener(struct datagrams *datagrams, const struct listener *listener);

#endif
