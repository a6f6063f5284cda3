/* What a worker counts: each its own, and whoever wants to know adds them up. */
#ifndef STATS_COUNTERS_H
#define STATS_COUNTERS_H

#include "base/counter.h"
#include "base/histogram.h"
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

	/* Of the replies that were watched on their way (see server/departure.h): the time from the
	 * arrival of the request to their departure, and by how much, either way, their transmit
	 * stamp missed that. */
	struct histogram response_time, stamp_error;
};

/* The word for a reason: "denied". */
const char *drop_name(enum drop reason);

/* Adds what part has counted. */
void tally_add(struct tally *sum, const struct tally *part);

/* All requests and all answers, by whatever protocol, and all drops for whatever reason. */
uint64_t tally_requests(const struct tally *tally);
uint64_t tally_answers(const struct tally *tally);
uint64_t tally_drops(const struct tally *tally);

#endif
