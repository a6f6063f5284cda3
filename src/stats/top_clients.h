/* Who asks the most, by network (IPv4 /24, IPv6 /48): estimated in a fixed place, by the algorithm
 * called Space-Saving. A network that asks more than one in TALKERS_PLACES of all is in it. What
 * was asked a while ago counts for less and less. One thread counts, any may read. */
#ifndef STATS_TOP_CLIENTS_H
#define STATS_TOP_CLIENTS_H

#include <stdatomic.h>
#include <stdint.h>

#include "base/address.h"

#define TALKERS_PLACES	 32
#define TALKERS_TOLD	 10
#define TALKERS_INTERVAL INT64_C(60000000000) /* what was counted halves so often, nanoseconds */

struct talkers {
	_Atomic uint64_t networks[TALKERS_PLACES];
	_Atomic uint64_t counts[TALKERS_PLACES];
	_Atomic uint64_t total;
	_Atomic int64_t halve_at; /* on the monotonic clock */
};

struct talker {
	uint64_t network; /* see address_network */
	uint64_t count;
};

/* The most eager ones first; a place with a count of 0 is empty. */
struct talkers_list {
	uint64_t total;
	struct talker items[TALKERS_TOLD];
};

/* Counts so many requests of one that peer has sent. */
void talkers_count(struct talkers *talkers, const struct address *peer, uint64_t requests,
		   int64_t now);

/* Merges what one thread has counted, as much of it as is left at now, into list, which starts as
 * zeros. */
void talkers_list_add(struct talkers_list *list, const struct talkers *talkers, int64_t now);

/* Writes "192.0.2.0/24" or "2001:db8::/48". */
const char *talkers_format(uint64_t network, char text[static ADDRESS_TEXT_SIZE]);

#endif
