/* Who asks the most, by network (IPv4 /24, IPv6 /48): estimated in a fixed place, by the algorithm
 * called Space-Saving. A network that asks more than one in TOP_CLIENTS_TRACKED of all is in it.
 * What was asked a while ago counts for less and less. One thread counts, any may read. */
#ifndef STATS_TOP_CLIENTS_H
#define STATS_TOP_CLIENTS_H

#include <stdatomic.h>
#include <stdint.h>

#include "base/address.h"

#define TOP_CLIENTS_TRACKED 32
#define TOP_CLIENTS_SHOWN   10
#define TOP_CLIENTS_INTERVAL \
	INT64_C(60000000000) /* what was counted halves so often, nanoseconds */

struct top_clients {
	_Atomic uint64_t networks[TOP_CLIENTS_TRACKED];
	_Atomic uint64_t counts[TOP_CLIENTS_TRACKED];
	_Atomic uint64_t total;
	_Atomic int64_t halve_at; /* on the monotonic clock */
};

struct top_client {
	uint64_t network; /* see address_network */
	uint64_t count;
};

/* The most eager ones first; a place with a count of 0 is empty. */
struct top_clients_list {
	uint64_t total;
	struct top_client items[TOP_CLIENTS_SHOWN];
};

/* Counts so many requests of one that peer has sent. */
void top_clients_count(struct top_clients *top_clients, const struct address *peer,
		       uint64_t requests, int64_t now);

/* Merges what one thread has counted, as much of it as is left at now, into list, which starts as
 * zeros. */
void top_clients_list_add(struct top_clients_list *list, const struct top_clients *top_clients,
			  int64_t now);

/* Writes "192.0.2.0/24" or "2001:db8::/48". */
const char *top_clients_format(uint64_t network, char text[static ADDRESS_TEXT_SIZE]);

#endif
