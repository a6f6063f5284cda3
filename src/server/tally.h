/* What a worker counts: each its own, and whoever wants to know adds them up. */
#ifndef SERVER_TALLY_H
#define SERVER_TALLY_H

#include "base/counter.h"
#include "protocol/protocol.h"

/* Why a request got no answer. */
enum drop {
	DROP_DENIED,	     /* by the access list */
	DROP_LIMITED,	     /* too many from its prefix */
	DROP_LOOP,	     /* it may come from another server, or from nobody */
	DROP_INVALID,	     /* it is no request of its protocol */
	DROP_UNSYNCHRONISED, /* see "require-sync" */
	DROP_FAILED,	     /* the answer could not be sent */
	DROP_COUNT,
};

struct tally {
	struct counter requests[PROTOCOL_COUNT];
	struct counter answers[PROTOCOL_COUNT];
	struct counter drops[DROP_COUNT];
	struct counter kisses;	    /* of the answers, those that tell a client to go away */
	struct counter connections; /* open at present */
};

#endif
