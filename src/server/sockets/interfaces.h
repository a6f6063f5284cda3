/* The networks of this host's interfaces, and which interfaces have a routing table of their
 * own. The main thread publishes them, and each worker keeps a copy. */
#ifndef SERVER_INTERFACES_H
#define SERVER_INTERFACES_H

#include <linux/netlink.h>
#include <stdbool.h>

#include "base/networks.h"
#include "base/snapshot.h"

#define INTERFACES_ROUTED_MAX 64

/* It has no padding: interfaces_update compares its bytes. */
struct interfaces {
	struct networks networks;

	/* Interfaces with a routing table of their own: in a VRF, or named by a routing rule ("ip
	 * rule add oif"). */
	uint64_t routed_count;
	struct {
		uint32_t index;
		uint32_t out;	 /* the interface by which replies leave: the VRF, or the same */
		uint32_t family; /* AF_UNSPEC: both */
	} routed[INTERFACES_ROUTED_MAX];
};

struct interfaces_snapshot {
	atomic_uint sequence;
	_Atomic uint64_t slots[SNAPSHOT_SLOTS(sizeof(struct interfaces))];
};

/* Asks the kernel (rtnetlink) and publishes what it says, if that has changed. If the kernel
 * refuses, as in some sandboxes, what was published stays. */
void interfaces_update(struct interfaces_snapshot *snapshot);

/* Adds what a message of RTM_GETADDR, RTM_GETLINK or RTM_GETRULE says. */
void interfaces_add(struct interfaces *interfaces, const struct nlmsghdr *message);

/* Copies the published value, if it is not the one of this sequence, which is then updated. */
static inline void interfaces_refresh(const struct interfaces_snapshot *snapshot,
				      struct interfaces *interfaces, unsigned *sequence)
{
	unsigned latest = atomic_load_explicit(&snapshot->sequence, memory_order_relaxed);

	if (latest == *sequence)
		return;
	*sequence = latest;
	snapshot_read(&snapshot->sequence, snapshot->slots, interfaces, sizeof(*interfaces));
}

/* The interface by which the reply to a request that came by an interface is to leave; 0: the
 * routing table decides, since requests and replies may take different ways. */
static inline unsigned interfaces_out(const struct interfaces *interfaces, sa_family_t family,
				      unsigned index)
{
	for (uint64_t i = 0; i < interfaces->routed_count; i++) {
		if (interfaces->routed[i].index == index &&
		    (interfaces->routed[i].family == AF_UNSPEC ||
		     interfaces->routed[i].family == family))
			return interfaces->routed[i].out;
	}
	return 0;
}

#endif
