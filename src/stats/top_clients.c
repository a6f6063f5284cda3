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
static unsigned count_halvings(const struct top_clients *top_clients, int64_t now)
{
	int64_t late = now - atomic_load_explicit(&top_clients->halve_at, memory_order_relaxed);
	int64_t halvings = late < 0 ? 0 : late / TOP_CLIENTS_INTERVAL + 1;

	return halvings < HALVINGS_MAX ? (unsigned)halvings : HALVINGS_MAX;
}

static void halve(struct top_clients *top_clients, unsigned times, int64_t now)
{
	for (int i = 0; i < TOP_CLIENTS_TRACKED; i++)
		set(&top_clients->counts[i], get(&top_clients->counts[i]) >> times);
	set(&top_clients->total, get(&top_clients->total) >> times);
	atomic_store_explicit(&top_clients->halve_at, now + TOP_CLIENTS_INTERVAL,
			      memory_order_relaxed);
}

/* The place of a network; where it has none, that of the network which asks the least becomes its
 * own, count and all: the estimate is never too low. */
void top_clients_count(struct top_clients *top_clients, const struct address *peer,
		       uint64_t requests, int64_t now)
{
	uint64_t network = address_network(peer);
	unsigned halvings = count_halvings(top_clients, now);
	int place = 0, least = 0;

	if (halvings > 0)
		halve(top_clients, halvings, now);
	for (; place < TOP_CLIENTS_TRACKED && get(&top_clients->networks[place]) != network;
	     place++) {
		if (get(&top_clients->counts[place]) < get(&top_clients->counts[least]))
			least = place;
	}
	if (place == TOP_CLIENTS_TRACKED) {
		place = least;
		set(&top_clients->networks[place], network);
	}
	set(&top_clients->counts[place], get(&top_clients->counts[place]) + requests);
	set(&top_clients->total, get(&top_clients->total) + requests);
}

/* Puts one where it belongs; the last makes way. */
static void insert(struct top_clients_list *list, const struct top_client *client)
{
	int place = TOP_CLIENTS_SHOWN;

	while (place > 0 && list->items[place - 1].count < client->count)
		place--;
	if (place == TOP_CLIENTS_SHOWN)
		return;
	memmove(&list->items[place + 1], &list->items[place],
		(size_t)(TOP_CLIENTS_SHOWN - 1 - place) * sizeof(*client));
	list->items[place] = *client;
}

/* Takes what there is of a network out of list, to be put back with more. */
static uint64_t take_out(struct top_clients_list *list, uint64_t network)
{
	uint64_t count;

	for (int i = 0; i < TOP_CLIENTS_SHOWN; i++) {
		if (list->items[i].network != network)
			continue;
		count = list->items[i].count;
		memmove(&list->items[i], &list->items[i + 1],
			(size_t)(TOP_CLIENTS_SHOWN - 1 - i) * sizeof(list->items[0]));
		list->items[TOP_CLIENTS_SHOWN - 1] = (struct top_client){ 0 };
		return count;
	}
	return 0;
}

void top_clients_list_add(struct top_clients_list *list, const struct top_clients *top_clients,
			  int64_t now)
{
	unsigned halvings = count_halvings(top_clients, now);

	for (int i = 0; i < TOP_CLIENTS_TRACKED; i++) {
		struct top_client client = { get(&top_clients->networks[i]),
					     get(&top_clients->counts[i]) >> halvings };

		if (client.count == 0)
			continue;
		client.count += take_out(list, client.network);
		insert(list, &client);
	}
	list->total += get(&top_clients->total) >> halvings;
}

const char *top_clients_format(uint64_t network, char text[static ADDRESS_TEXT_SIZE])
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
