/* Whether a datagram gets a reply: source, access list, loop guard, rate. */
#ifndef SERVER_ADMISSION_H
#define SERVER_ADMISSION_H

#include <stdbool.h>
#include <stdint.h>

#include "base/limiter.h"
#include "server/request/datagram.h"
#include "server/request/service.h"
#include "server/sockets/listeners.h"

/* A worker's own: how often each prefix has sent requests. */
struct admission {
	const struct service *service;
	struct limiter limiter;
	uint64_t random; /* state of the generator that picks requests above the rate */
};

/* Returns false if memory is short. */
bool admission_open(struct admission *admission, const struct service *service);

void admission_close(struct admission *admission);

/* Sets drop and kod of a datagram that came to listener at now, on the monotonic clock, and at
 * second, seconds since 1970. */
void admission_judge(struct admission *admission, const struct listener *listener,
		     struct datagram *datagram, int64_t now, time_t second);

#endif
