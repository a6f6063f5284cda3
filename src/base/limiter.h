/* Rate limits by prefix: IPv4 /32 and /24, IPv6 /64 and /48. Each gets burst requests at once and
 * then one an interval; the wider prefix LIMITER_WIDER times as much. In own networks each IPv6
 * address counts (/128 and /64), and the wider prefix gets LIMITER_OWN_WIDER times as much: all
 * devices of a network may ask at once when the power comes back. Memory is fixed: a
 * set-associative table with a keyed hash; when a set is full, the entry that expires first is
 * evicted. Not thread-safe. */
#ifndef BASE_LIMITER_H
#define BASE_LIMITER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/address.h"
#include "base/hash.h"

#define LIMITER_WIDER	  4
#define LIMITER_OWN_WIDER 1024

/* The size of the table in bytes, and in prefixes. */
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
	int64_t latest; /* the latest now */
};

/* Returns false if memory is short. Pages are touched only as prefixes come. */
bool limiter_open(struct limiter *limiter);

/* Counts a request of peer at now, nanoseconds on the monotonic clock; own: the peer is in one of
 * this host's own networks. Returns whether it is within the rate of both prefixes; a request that
 * is not does not count. IPv4-mapped addresses are IPv4. The rate may change between requests: no
 * prefix owes more than one burst of the new rate. */
bool limiter_admit(struct limiter *limiter, const struct limiter_rate *rate,
		   const struct address *peer, bool own, int64_t now);

void limiter_close(struct limiter *limiter);

#endif
