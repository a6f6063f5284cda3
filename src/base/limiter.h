/* Limits of rate by prefix: IPv4 /32 and /24, IPv6 /64 and /48. Each may ask burst times at once
 * and then once an interval; the wider prefix LIMITER_WIDER times as much. The memory is fixed;
 * which place in it a prefix gets depends on a key that nobody knows, and where there is none left
 * the prefix nearest to being forgotten anyway makes way. One a thread. */
#ifndef BASE_LIMITER_H
#define BASE_LIMITER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/address.h"
#include "base/hash.h"

#define LIMITER_WIDER 4

/* Bytes of memory of a limiter, and how many prefixes it can remember in them. */
#define LIMITER_SIZE	 (512 * 1024)
#define LIMITER_PREFIXES (LIMITER_SIZE / 16)

struct limiter_rate {
	int64_t interval; /* nanoseconds between requests; 0: no limit */
	uint32_t burst;	  /* 1 or more */
};

struct limiter_entry;

struct limiter {
	struct hash_key key;
	struct limiter_entry *entries;
	int64_t latest; /* the latest now that there was */
};

/* Returns false if memory is short. The memory is touched only as prefixes come. */
bool limiter_open(struct limiter *limiter);

/* Counts a request of peer at now, nanoseconds on the monotonic clock, which is never taken to run
 * backwards. Returns whether the request is within the rate of both its prefixes; one that is not
 * costs its sender nothing more. An IPv4 address in IPv6 form is an IPv4 address. The rate may
 * change from one request to the next: no prefix owes more than a burst by the rate given. */
bool limiter_admit(struct limiter *limiter, const struct limiter_rate *rate,
		   const struct address *peer, int64_t now);

void limiter_close(struct limiter *limiter);

#endif
