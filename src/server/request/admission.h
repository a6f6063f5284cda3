/* Whether a datagram gets a reply: source and destination, access list, loop guard, limits. */
#ifndef SERVER_ADMISSION_H
#define SERVER_ADMISSION_H

#include <stdbool.h>
#include <stdint.h>

#include "base/ceiling.h"
#include "base/limiter.h"
#include "base/networks.h"
#include "server/request/datagram.h"
#include "server/request/service.h"
#include "server/sockets/listeners.h"

/* A worker's own: how often each prefix has sent requests. */
struct admission {
	const struct service *service;
	struct counters *counters;
	const struct networks *networks; /* of this host */
	struct limiter limiter;
	uint32_t in_advance[2]; /* replies taken from each of the ceilings of the service */
	uint64_t random;	/* state of the generator that picks requests above the rate */
};

/* Opens it for a worker with these counters; networks are this host's own, and outlive it. Returns
 * false if memory is short. */
bool admission_open(struct admission *admission, const struct service *service,
		    struct counters *counters, const struct networks *networks);

void admission_close(struct admission *admission);

/* Sets drop and kod of a datagram that came to listener at now, on the monotonic clock. */
void admission_judge(struct admission *admission, const struct listener *listener,
		     struct datagram *datagram, int64_t now);

#endif
