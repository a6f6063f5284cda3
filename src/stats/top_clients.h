/* The top clients: heavy hitters by the Space-Saving algorithm, by network (IPv4 /24, IPv6 /48), in
 * fixed memory. A network with more than 1 in TOP_CLIENTS_TRACKED of all requests is always among
 * them. Counts are halved every TOP_CLIENTS_INTERVAL. One thread counts, any may read. */
#ifndef STATS_TOP_CLIENTS_H
#define STATS_TOP_CLIENTS_H

#include <stdatomic.h>
#include <stdint.h>

#include "base/address.h"

#define TOP_CLIENTS_TRACKED  32
#define TOP_CLIENTS_SHOWN    10
#define TOP_CLIENTS_INTERVAL INT64_C(60000000000) /* nanoseconds */

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

/* In descending order; an item with a count of 0 is empty. */
struct top_clients_list {
	uint64_t total;
	struct top_client items[TOP_CLIENTS_SHOWN];
};

/* Counts requests from peer. */
void top_clients_count(struct top_clients *top_clients, const struct address *peer,
		       uint64_t requests, int64_t now);

/* Merges the counts of one thread, halved as of now, into list, which starts as zeros. */
void top_clients_list_add(struct top_clients_list *list, const struct top_clients *top_clients,
			  int64_t now);

/* Writes "192.0.2.0/24" or "2001:db8::/48". */
const char *top_clients_format(uint64_t network, char text[static ADDRESS_TEXT_SIZE]);

#endif
