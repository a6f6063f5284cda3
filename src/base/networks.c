#include "base/networks.h"

#include <endian.h>
#include <string.h>

static void add_ip4(struct networks *networks, const void *bytes, unsigned length)
{
	struct networks_ip4 added = { .mask = UINT32_MAX << (32 - length) };
	uint32_t address, smallest = 0;

	memcpy(&address, bytes, sizeof(address));
	added.network = ntohl(address) & added.mask;
	for (uint32_t i = 0; i < networks->ip4_count; i++) {
		if (memcmp(&networks->ip4[i], &added, sizeof(added)) == 0)
			return;
		if (networks->ip4[i].mask > networks->ip4[smallest].mask)
			smallest = i;
	}
	if (networks->ip4_count < NETWORKS_MAX)
		networks->ip4[networks->ip4_count++] = added;
	else if (added.mask < networks->ip4[smallest].mask)
		networks->ip4[smallest] = added;
}

/* The first length bits of 64, in network byte order. */
static uint64_t mask_64(unsigned length)
{
	return length == 0 ? 0 : htobe64(UINT64_MAX << (64 - length));
}

/* Whether the prefix of a is longer than that of b. */
static bool is_smaller_ip6(const struct networks_ip6 *a, const struct networks_ip6 *b)
{
	return memcmp(a->mask, b->mask, sizeof(a->mask)) > 0;
}

static void add_ip6(struct networks *networks, const void *bytes, unsigned length)
{
	struct networks_ip6 added = {
		.mask = { mask_64(length < 64 ? length : 64),
			  mask_64(length > 64 ? length - 64 : 0) },
	};

	uint32_t smallest = 0;

	memcpy(added.network, bytes, sizeof(added.network));
	added.network[0] &= added.mask[0];
	added.network[1] &= added.mask[1];
	for (uint32_t i = 0; i < networks->ip6_count; i++) {
		if (memcmp(&networks->ip6[i], &added, sizeof(added)) == 0)
			return;
		if (is_smaller_ip6(&networks->ip6[i], &networks->ip6[smallest]))
			smallest = i;
	}
	if (networks->ip6_count < NETWORKS_MAX)
		networks->ip6[networks->ip6_count++] = added;
	else if (is_smaller_ip6(&networks->ip6[smallest], &added))
		networks->ip6[smallest] = added;
}

void networks_add(struct networks *networks, int family, const void *bytes, unsigned length)
{
	if (family == AF_INET && length >= 1 && length <= 32)
		add_ip4(networks, bytes, length);
	else if (family == AF_INET6 && length >= 1 && length <= 128)
		add_ip6(networks, bytes, length);
}

static bool contain_ip4(const struct networks *networks, uint32_t ip4)
{
	for (uint32_t i = 0; i < networks->ip4_count; i++) {
		if ((ip4 & networks->ip4[i].mask) == networks->ip4[i].network)
			return true;
	}
	return false;
}

bool networks_contain(const struct networks *networks, const struct address *peer)
{
	uint64_t address[2];
	uint32_t ip4;

	if (address_is_private(peer))
		return true;
	if (address_ip4(peer, &ip4))
		return contain_ip4(networks, ip4);
	memcpy(address, &peer->ip6.sin6_addr, sizeof(address));
	for (uint32_t i = 0; i < networks->ip6_count; i++) {
		const struct networks_ip6 *item = &networks->ip6[i];

		if ((address[0] & item->mask[0]) == item->network[0] &&
		    (address[1] & item->mask[1]) == item->network[1])
			return true;
	}
	return false;
}
