#include "web/connections.h"

#include <event2/buffer.h>
#include <event2/event.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>

/* Descriptors kept free for anything else. */
#define FD_SPARE 8

/* One fifth of the descriptors for connections is kept for connections that are shut down but not
 * closed yet. */
#define FD_RESERVE_DIV 5

/* Descriptors below this are counted at the start. */
#define FD_SCAN_MAX 1024

/* Before any time on the monotonic clock; differences do not overflow. */
#define EXPIRED (INT64_MIN / 2)

/* Frees the slot if the connection was closed. evhttp frees a bufferevent without telling us; then
 * ours is the last reference, and bufferevent_decref returns 1. */
static bool free_if_closed(struct connection *connection)
{
	if (bufferevent_decref(connection->stream) == 0) {
		bufferevent_incref(connection->stream);
		return false;
	}
	*connection = (struct connection){ 0 };
	return true;
}

/* evhttp sees the end of the stream and closes the connection. */
static void shut_down(const struct connection *connection)
{
	shutdown(bufferevent_getfd(connection->stream), SHUT_RDWR);
}

static struct connection_arrival arrive(void)
{
	return (struct connection_arrival){ .clock = clock_realtime(), .mono = clock_monotonic() };
}

static void note_arrival(struct evbuffer *input, const struct evbuffer_cb_info *info,
			 void *argument)
{
	struct connection *connection = argument;

	(void)input;
	if (info->n_added > 0 && connection->arrival.mono == 0)
		connection->arrival = arrive();
}

static bool find_peer(struct bufferevent *stream, struct address *peer)
{
	socklen_t size = sizeof(*peer);

	return getpeername(bufferevent_getfd(stream), &peer->any, &size) == 0;
}

bool connections_allow(const struct connections *connections, struct bufferevent *stream)
{
	struct address peer;

	return connections->access->range_count == 0 ||
	       (find_peer(stream, &peer) && access_allows(connections->access, &peer));
}

/* The peer is not known yet while its connection is being accepted. A peer that may not use this
 * server has until the next connections_expire to send a request, and gets 403. */
static void identify(const struct connections *connections, struct connection *connection)
{
	struct address peer;
	uint64_t network, hash;

	if (connection->network != 0 || !find_peer(connection->stream, &peer))
		return;
	network = address_network(&peer);
	hash = hash_bytes(&connections->key, &network, sizeof(network));
	connection->network = 1 + (unsigned)(hash % CONNECTIONS_NETWORKS);
	if (!access_allows(connections->access, &peer))
		connection->since = EXPIRED;
}

/* Whether all replies were sent and nothing of another request has come. */
static bool is_idle(const struct connection *connection)
{
	return connection->replied && connection->arrival.mono == 0 &&
	       evbuffer_get_length(bufferevent_get_output(connection->stream)) == 0;
}

static bool evict_before(const struct connection *one, const struct connection *other)
{
	if (is_idle(one) != is_idle(other))
		return is_idle(one);
	return one->since < other->since;
}

static struct connection *choose_to_evict(struct connections *connections)
{
	unsigned counts[CONNECTIONS_NETWORKS + 1] = { 0 }, largest = 0;
	struct connection *chosen = connections->slots;

	for (size_t i = 0; i < connections->capacity; i++) {
		struct connection *connection = &connections->slots[i];

		identify(connections, connection);
		if (++counts[connection->network] > counts[largest]) {
			largest = connection->network;
			chosen = connection;
		}
	}
	for (size_t i = 0; i < connections->capacity; i++) {
		struct connection *connection = &connections->slots[i];

		if (connection->network == largest && evict_before(connection, chosen))
			chosen = connection;
	}
	return chosen;
}

static struct connection *find_free_slot(struct connections *connections)
{
	for (size_t i = 0; i < connections->capacity; i++) {
		struct connection *slot = &connections->slots[i];

		if (!slot->stream || free_if_closed(slot))
			return slot;
	}
	return NULL;
}

static struct connection *evict(struct connections *connections)
{
	struct connection *evicted = choose_to_evict(connections);

	shut_down(evicted);
	evbuffer_remove_cb(bufferevent_get_input(evicted->stream), note_arrival, evicted);
	bufferevent_decref(evicted->stream);
	return evicted;
}

static size_t count_descriptors(rlim_t limit)
{
	size_t count = 0;

	for (int fd = 0; fd < FD_SCAN_MAX && (rlim_t)fd < limit; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

static size_t clamp(size_t minimum, size_t number, size_t maximum)
{
	return number < minimum ? minimum : number < maximum ? number : maximum;
}

void connections_open(struct connections *connections, struct access *access, struct counter *open)
{
	struct rlimit limit = { .rlim_cur = FD_SCAN_MAX };
	size_t others, room = 2;

	getrlimit(RLIMIT_NOFILE, &limit);
	others = count_descriptors(limit.rlim_cur) + FD_SPARE;
	if (limit.rlim_cur > others + room)
		room = limit.rlim_cur - others;
	connections->batch = clamp(1, room / FD_RESERVE_DIV, CONNECTIONS_BATCH_MAX);
	connections->capacity = clamp(1, room - connections->batch, CONNECTIONS_MAX);
	if (limit.rlim_cur > others + connections->batch + connections->capacity)
		limit.rlim_cur = others + connections->batch + connections->capacity;
	setrlimit(RLIMIT_NOFILE, &limit);
	connections->access = access;
	connections->key = hash_key_make();
	connections->open = open;
	counter_set(open, 0); /* a process that crashed has left its own number */
}

static void report_count(const struct connections *connections)
{
	if (connections->open)
		counter_set(connections->open, connections_count(connections));
}

void connections_stop_counting(struct connections *connections)
{
	counter_set(connections->open, 0);
	connections->open = NULL;
}

struct bufferevent *connections_add(struct connections *connections, struct event_base *base)
{
	struct bufferevent *stream = bufferevent_socket_new(base, -1, 0);
	struct connection *slot;

	if (!stream)
		return NULL;
	slot = find_free_slot(connections);
	if (!slot)
		slot = evict(connections);
	/* While a reply waits to be sent, evhttp reads on without parsing. */
	bufferevent_setwatermark(stream, EV_READ, 0, CONNECTIONS_INPUT_MAX);
	bufferevent_incref(stream);
	*slot = (struct connection){ .stream = stream, .since = clock_monotonic() };
	evbuffer_add_cb(bufferevent_get_input(stream), note_arrival, slot);
	report_count(connections);
	return stream;
}

static struct connection *find(struct connections *connections, const struct bufferevent *stream)
{
	for (size_t i = 0; i < connections->capacity; i++) {
		if (connections->slots[i].stream == stream)
			return &connections->slots[i];
	}
	return NULL; /* it was evicted */
}

struct connection_arrival connections_take_request(struct connections *connections,
						   const struct bufferevent *stream)
{
	struct connection *connection = find(connections, stream);
	struct connection_arrival arrival = { 0 };

	if (connection) {
		arrival = connection->arrival;
		connection->arrival = (struct connection_arrival){ 0 };
		connection->replied = true;
		connection->since = clock_monotonic();
	}
	return arrival.mono != 0 ? arrival : arrive();
}

void connections_close_soon(struct connections *connections, const struct bufferevent *stream)
{
	struct connection *connection = find(connections, stream);

	if (connection)
		connection->since = EXPIRED;
}

void connections_expire(struct connections *connections, int64_t now)
{
	for (size_t i = 0; i < connections->capacity; i++) {
		struct connection *connection = &connections->slots[i];

		if (!connection->stream || free_if_closed(connection))
			continue;
		if (now - connection->since > CONNECTIONS_TIMEOUT)
			shut_down(connection);
		else
			identify(connections, connection);
	}
	report_count(connections);
}

unsigned connections_count(const struct connections *connections)
{
	unsigned count = 0;

	for (size_t i = 0; i < connections->capacity; i++)
		count += connections->slots[i].stream != NULL;
	return count;
}
