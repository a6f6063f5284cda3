/* Whether a datagram is to be answered. */
#ifndef SERVER_ADMISSION_H
#define SERVER_ADMISSION_H

#include <stdbool.h>
#include <stdint.h>

#include "base/limiter.h"
#include "server/request/service.h"
#include "server/sockets/listeners.h"
#include "stats/counters.h"

/* A worker's memory of who has asked how often. */
struct admission {
	const struct service *service;
	struct limiter limiter;
	uint64_t random; /* the state of a generator: which of those above the rate is answered */
};

/* Returns false if memory is short. */
bool admission_open(struct admission *admission, const struct service *service);

void admission_close(struct admission *admission);

struct datagram;

/* Judges a datagram that came to listener at now, on the monotonic clock, and at second, by the
 * system clock. Returns DROP_COUNT if it is to be answered, with *verdict saying how; else why
 * not. */
enum drop admit_datagram(struct admission *admission, const struct listener *listener,
			 const struct datagram *datagram, int64_t now, time_t second,
			 enum verdict *verdict);

#endif
