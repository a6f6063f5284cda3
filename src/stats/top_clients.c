#include "stats/top_clients.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

/* They leave nothing of any count, and are still a shift. */
#define HALVINGS_MAX 63

static uint64_t get(const _Atomic uint64_t *value)
{
	return atomic_load_explicit(value, memory_order_relaxed);
}

static void set(_Atomic uint64_t *value, uint64_t number)
{
	atomic_store_explicit(value, number, memory_order_relaxed);
}

/* How often what was counted is to be halved by now. */
static unsigned count_halvings(const struct talkers *talkers, int64_t now)
{
	int64_t late = now - atomic_load_explicit(&talkers->halve_at, memory_order_relaxed);
	int64_t halvings = late < 0 ? 0 : late / TALKERS_INTERVAL + 1;

	return halvings < HALVINGS_MAX ? (unsigned)halvings : HALVINGS_MAX;
}

static void halve(struct talkers *talkers, unsigned times, int64_t now)
{
	for (int i = 0; i < TALKERS_PLACES; i++)
		set(&talkers->counts[i], get(&talkers->counts[i]) >> times);
	set(&talkers->total, get(&talkers->total) >> times);
	atomic_store_explicit(&talkers->halve_at, now + TALKERS_INTERVAL, memory_order_relaxed);
}

/* The place of a network; where it has none, that of the network which asks the least becomes its
 * own, count and all: the estimate is never too low. */
void talkers_count(struct talkers *talkers, const struct address *peer, uint64_t requests,
		   int64_t now)
{
	uint64_t network = address_network(peer);
	unsigned halvings = count_halvings(talkers, now);
	int place = 0, least = 0;

	if (halvings > 0)
		halve(talkers, halvings, now);
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

void talkers_list_add(struct talkers_list *list, const struct talkers *talkers, int64_t now)
{
	unsigned halvings = count_halvings(talkers, now);

	for (int i = 0; i < TALKERS_PLACES; i++) {
		struct talker talker = { get(&talkers->networks[i]),
					 get(&talkers->counts[i]) >> halvings };

		if (talker.count == 0)
			continue;
		talker.count += take_out(list, talker.network);
		insert(list, &talker);
	}
	list->total += get(&talkers->total) >> halvings;
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
