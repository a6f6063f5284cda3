/* Requests over UDP: the straight line, a batch at a time.
 *
 *	receive    a batch: bytes, peer, local address, the kernel's arrival stamp
 *	admit      source, access list, loop guard, rate
 *	clock      as late as possible
 *	reply      the protocol
 *	send       in one call
 *
 * The io are a pair that can be replaced: sockets, here. */
#ifndef SERVER_DATAGRAMS_H
#define SERVER_DATAGRAMS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/address.h"
#include "server/request/admission.h"
#include "server/request/service.h"
#include "server/request/tx_delay.h"

#define DATAGRAM_BATCH 32 /* few enough that the last one's stamp is not far from the first one's */
#define DATAGRAM_SIZE  1280 /* no request of any use is longer */

/* A request, and the reply to it. */
struct datagram {
	struct address peer;
	uint8_t *bytes;
	size_t size;
	bool truncated;		/* there was more of it */
	clock_ntp_time arrival; /* 0: not stamped */
	uint8_t reply[PROTOCOL_REPLY_MAX];
	size_t reply_size; /* 0: none */
};

struct udp_io;

struct datagrams {
	const struct service *service;
	struct counters *counters;
	struct top_clients *top_clients;
	struct admission admission;
	struct tx_delay tx_delay;
	struct clock_second second;
	struct datagram items[DATAGRAM_BATCH];
	struct udp_io *io;
};

/* Prepares for datagrams; service, counters and top_clients are set, all else is zero. Returns false if
 * memory is short: then it may be tried again. */
bool datagrams_open(struct datagrams *datagrams);

void datagrams_close(struct datagrams *datagrams);

/* Answers requests that wait on a listener: a batch at most, so that other listeners get their
 * turn. Returns whether there may be more. */
bool datagrams_serve(struct datagrams *datagrams, const struct listener *listener, int64_t now);

/* Answers what waits on a listener that is about to be closed. */
void datagrams_drain_listener(struct datagrams *datagrams, const struct listener *listener);

#endif
