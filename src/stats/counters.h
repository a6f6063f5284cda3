/* The counters of a worker: each has its own, and a reader adds them up. */
#ifndef STATS_COUNTERS_H
#define STATS_COUNTERS_H

#include "base/counter.h"
#include "base/histogram.h"
#include "protocol/protocol.h"

/* Why a request got no reply. */
enum drop {
	DROP_NONE = -1,	     /* it gets a reply */
	DROP_DENIED,	     /* by the access list */
	DROP_LIMITED,	     /* above its prefix's rate */
	DROP_CEILING,	     /* above what all networks together may get */
	DROP_LOOP,	     /* possibly sent by a server, or from or to a group */
	DROP_INVALID,	     /* not a request of its protocol */
	DROP_UNSYNCHRONISED, /* see "require-sync" */
	DROP_FAILED,	     /* the reply could not be sent */
	DROP_COUNT,
};

/* It has nothing but counters: counters_add relies on that. */
struct counters {
	struct counter requests[PROTOCOL_COUNT];
	struct counter replies[PROTOCOL_COUNT];
	struct counter drops[DROP_COUNT];
	struct counter own_limited; /* requests of own networks above a limit */
	struct counter kod_sent;    /* replies that are a kiss-o'-death */
	/* Of the protocols with kernel stamps: requests and replies for which the kernel gave
	 * none. */
	struct counter unstamped_requests, unstamped_replies;
	struct counter connections; /* open now */

	/* Of the sampled NTP replies (see server/request/tx_delay.h): the time from the arrival of
	 * the request to the departure of the reply, and the absolute difference between that and
	 * its transmit stamp. */
	struct histogram response_time, transmit_stamp_error;
};

/* The name of a reason: "denied". */
const char *counters_drop_name(enum drop reason);

/* Adds the counters of part to sum. */
void counters_add(struct counters *sum, const struct counters *part);

/* All requests and replies by any protocol, all drops for any reason. */
uint64_t counters_requests(const struct counters *counters);
uint64_t counters_replies(const struct counters *counters);
uint64_t counters_drops(const struct counters *counters);

#endif
