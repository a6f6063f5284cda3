/* A request over UDP, and the reply to it. */
#ifndef SERVER_DATAGRAM_H
#define SERVER_DATAGRAM_H

#include "base/address.h"
#include "protocol/protocol.h"
#include "stats/counters.h"

#define DATAGRAM_BATCH 32   /* few enough that the last stamp is not far from the first */
#define DATAGRAM_SIZE  1280 /* no useful request is longer */

struct datagram {
	struct address peer;
	uint8_t *bytes;
	size_t size;
	bool truncated;		/* it was longer than DATAGRAM_SIZE */
	bool to_group;		/* it was sent to a broadcast or multicast address */
	clock_ntp_time arrival; /* the kernel's stamp, or when it was read; 0: not known */
	bool stamped;		/* arrival is the kernel's stamp */
	enum drop drop;		/* DROP_NONE: it is to get a reply */
	enum protocol_kod kod;	/* which is this KoD */
	uint8_t reply[PROTOCOL_REPLY_MAX];
	size_t reply_size; /* 0: no reply */
};

#endif
