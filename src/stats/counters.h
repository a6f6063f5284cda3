/* What a worker counts: each its own, and whoever wants to know adds them up. */
#ifndef STATS_COUNTERS_H
#define STATS_COUNTERS_H

#include "base/counter.h"
#include "base/histogram.h"
#include "protocol/protocol.h"

/* Why a request got no answer. */
enum drop {
	DROP_NONE = -1,	     /* it gets one */
	DROP_DENIED,	     /* by the access list */
	DROP_LIMITED,	     /* too many from its prefix */
	DROP_LOOP,	     /* it may come from another server, or from nobody */
	DROP_INVALID,	     /* it is no request of its protocol */
	DROP_UNSYNCHRONISED, /* see "require-sync" */
	DROP_FAILED,	     /* the answer could not be sent */
	DROP_COUNT,
};

struct counters {
	struct counter requests[PROTOCOL_COUNT];
	struct counter replies[PROTOCOL_COUNT];
	struct counter drops[DROP_COUNT];
	struct counter kod_sent;    /* of the answers, those that tell a client to go away */
	struct counter connections; /* open at present */

	/* Of the replies that were watched on their way (see server/tx_delay.h): the time from the
	 * arrival of the request to their departure, and by how much, either way, their transmit
	 * stamp missed that. */
	struct histogram response_time, transmit_stamp_error;
};

/* The word for a reason: "denied". */
const char *counters_drop_name(enum drop reason);

/* Adds what part has counted. */
void counters_add(struct counters *sum, const struct counters *part);

/* All requests and all answers, by whatever protocol, and all drops for whatever reason. */
uint64_t counters_requests(const struct counters *counters);
uint64_t counters_replies(const struct counters *counters);
uint64_t counters_drops(const struct counters *counters);

#endif
