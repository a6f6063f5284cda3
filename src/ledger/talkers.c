#include "ledger/talkers.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

/* A network as a number, which is never 0: its first bytes behind its kind. */
#define IS_IP4 (UINT64_C(4) << 56)
#define IS_IP6 (UINT64_C(6) << 56)

static uint64_t network_of_ip4(uint32_t address)
{
	return IS_IP4 | address >> 8;
}

static uint64_t network_of(const struct address *peer)
{
	const uint8_t *bytes = peer->ip6.sin6_addr.s6_addr;
	uint64_t network = 0;

	if (peer->any.sa_family == AF_INET)
		return network_of_ip4(ntohl(peer->ip4.sin_addr.s_addr));
	if (IN6_IS_ADDR_V4MAPPED(&peer->ip6.sin6_addr))
		return network_of_ip4((uint32_t)bytes[12] << 24 | (uint32_t)bytes[13] << 16 |
				      (uint32_t)bytes[14] << 8);
	for (int i = 0; i < 6; i++)
		network = network << 8 | bytes[i];
	return IS_IP6 | network;
}

static uint64_t get(const _Atomic uint64_t *value)
{
	return atomic_load_explicit(value, memory_order_relaxed);
}

static void set(_Atomic uint64_t *value, uint64_t number)
{
	atomic_store_explicit(value, number, memory_order_relaxed);
}

static void halve(struct talkers *talkers, int64_t now)
{
	for (int i = 0; i < TALKERS_PLACES; i++)
		set(&talkers->counts[i], get(&talkers->counts[i]) / 2);
	set(&talkers->total, get(&talkers->total) / 2);
	talkers->halve_at = now + TALKERS_INTERVAL;
}

/* The place of a network; where it has none, that of the network which asks the least becomes its
 * own, count and all: the estimate is never too low. */
void talkers_count(struct talkers *talkers, const struct address *peer, uint64_t requests,
		   int64_t now)
{
	uint64_t network = network_of(peer);
	int place = 0, least = 0;

	if (now >= talkers->halve_at)
		halve(talkers, now);
	for (; place < TALKERS_PLACES && get(&talkers->networks[place]) != network; place++) {
		if (get(&talkers->counts[place]) < get(&talkers->counts[least]))
			least = place;
	}
	if (place == TALKERS_PLACES) {
		place = least;
		set(&talkers->networks[place], network);
	}
	set(&talkers->counts[place], get(&talkers->counts[place]) + requests);
	set(&talkers->total, get(&talkers->total) + requests);
}

/* Puts one where it belongs; the last makes way. */
static void insert(struct talkers_list *list, const struct talker *talker)
{
	int place = TALKERS_TOLD;

	while (place > 0 && list->items[place - 1].count < talker->count)
		place--;
	if (place == TALKERS_TOLD)
		return;
	memmove(&list->items[place + 1], &list->items[place],
		(size_t)(TALKERS_TOLD - 1 - place) * sizeof(*talker));
	list->items[place] = *talker;
}

/* Takes what there is of a network out of list, to be put back with more. */
static uint64_t take_out(struct talkers_list *list, uint64_t network)
{
	uint64_t count;

	for (int i = 0; i < TALKERS_TOLD; i++) {
		if (list->items[i].network != network)
			continue;
		count = list->items[i].count;
		memmove(&list->items[i], &list->items[i + 1],
			(size_t)(TALKERS_TOLD - 1 - i) * sizeof(list->items[0]));
		list->items[TALKERS_TOLD - 1] = (struct talker){ 0 };
		return count;
	}
	return 0;
}

void talkers_list_add(struct talkers_list *list, const struct talkers *talkers)
{
	for (int i = 0; i < TALKERS_PLACES; i++) {
		struct talker talker = { get(&talkers->networks[i]), get(&talkers->counts[i]) };

		if (talker.count == 0)
			continue;
		talker.count += take_out(list, talker.network);
		insert(list, &talker);
	}
	list->total += get(&talkers->total);
}

const char *talkers_format(uint64_t network, char text[static ADDRESS_TEXT_SIZE])
{
	struct in_addr ip4 = { htonl((uint32_t)(network & 0xffffff) << 8) };
	struct in6_addr ip6 = { 0 };
	char address[INET6_ADDRSTRLEN];

	for (int i = 0; i < 6; i++)
		ip6.s6_addr[i] = (uint8_t)(network >> (40 - 8 * i));
	if (network >> 56 == 4)
		snprintf(text, ADDRESS_TEXT_SIZE, "%s/24",
			 inet_ntop(AF_INET, &ip4, address, sizeof(address)));
	else
		snprintf(text, ADDRESS_TEXT_SIZE, "%s/48",
			 inet_ntop(AF_INET6, &ip6, address, sizeof(address)));
	return text;
}
