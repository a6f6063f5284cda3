/* This host's own networks, in which each address has its own rate limit: private, link-local and
 * loopback addresses (address_is_private), and the networks of its interfaces. */
#ifndef BASE_NETWORKS_H
#define BASE_NETWORKS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/address.h"

#define NETWORKS_MAX 64 /* of interfaces, of each family */

/* An address is in a network if its bits under the mask are those of the network. */
struct networks_ip4 {
	uint32_t network, mask; /* in host byte order */
};

struct networks_ip6 {
	uint64_t network[2], mask[2]; /* in network byte order */
};

struct networks {
	uint32_t ip4_count, ip6_count;
	struct networks_ip4 ip4[NETWORKS_MAX];
	struct networks_ip6 ip6[NETWORKS_MAX];
};

/* Adds the network of an address of family AF_INET or AF_INET6, bytes in network byte order, by the
 * length of its prefix. Nothing is added for a length of 0 (everything would be an own network), or
 * a network that is there already. If there is no room, the smallest network is left out: a host
 * may have many addresses without a network, such as those of services on lo. */
void networks_add(struct networks *networks, int family, const void *bytes, unsigned length);

/* Whether an address is in one of the host's own networks. */
bool networks_contain(const struct networks *networks, const struct address *peer);

#endif
