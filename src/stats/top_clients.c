#include "stats/top_clients.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

/* The largest valid shift of a uint64_t; no count is left after it. */
#define HALVINGS_MAX 63

static uint64_t get(const _Atomic uint64_t *value)
{
	return atomic_load_explicit(value, memory_order_relaxed);
}

static void set(_Atomic uint64_t *value, uint64_t number)
{
	atomic_store_explicit(value, number, memory_order_relaxed);
}

/* Number of halvings due at now. */
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

/* A network that is not tracked replaces the one with the lowest count and keeps that count, so
 * that an estimate is never too low. */
void top_clients_count(struct top_clients *top_clients, const struct address *peer,
		       uint64_t requests, int64_t now)
{
	uint64_t network = address_network(peer);
	unsigned halvings = count_halvings(top_clients, now);
	int slot = 0, least = 0;

	if (halvings > 0)
		halve(top_clients, halvings, now);
	for (; slot < TOP_CLIENTS_TRACKED && get(&top_clients->networks[slot]) != network; slot++) {
		if (get(&top_clients->counts[slot]) < get(&top_clients->counts[least]))
			least = slot;
	}
	if (slot == TOP_CLIENTS_TRACKED) {
		slot = least;
		set(&top_clients->networks[slot], network);
	}
	set(&top_clients->counts[slot], get(&top_clients->counts[slot]) + requests);
	set(&top_clients->total, get(&top_clients->total) + requests);
}

/* Inserts a client in order; the last one drops out. */
static void insert(struct top_clients_list *list, const struct top_client *client)
{
	int slot = TOP_CLIENTS_SHOWN;

	while (slot > 0 && list->items[slot - 1].count < client->count)
		slot--;
	if (slot == TOP_CLIENTS_SHOWN)
		return;
	memmove(&list->items[slot + 1], &list->items[slot],
		(size_t)(TOP_CLIENTS_SHOWN - 1 - slot) * sizeof(*client));
	list->items[slot] = *client;
}

/* Removes a network from list and returns its count, to be inserted again with more. */
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
