#include "web/connections.h"

#include <event2/buffer.h>
#include <event2/event.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>

/* Descriptors that may be wanted for something else yet. */
#define SPARE 8

/* Of the room for connections, such a part is for those that were cut and are not closed yet. */
#define PART 5

/* Before anything on the monotonic clock, with room for a difference. */
#define LONG_AGO (INT64_MIN / 2)

/* Among these what is open when the process starts is counted. */
#define COUNTED 1024

/* Frees the place if the connection was closed. evhttp frees a bufferevent without telling us; ours is
 * then the last reference, and bufferevent_decref returns 1. */
static bool free_if_closed(struct visitor *visitor)
{
	if (bufferevent_decref(visitor->connection) == 0) {
		bufferevent_incref(visitor->connection);
		return false;
	}
	*visitor = (struct visitor){ 0 };
	return true;
}

/* evhttp sees the end of it, and closes it. */
static void cut(struct visitor *visitor)
{
	shutdown(bufferevent_getfd(visitor->connection), SHUT_RDWR);
}

static struct arrival arrive(void)
{
	return (struct arrival){ .clock = clock_realtime(), .moment = clock_monotonic() };
}

static void note_arrival(struct evbuffer *input, const struct evbuffer_cb_info *info,
			 void *argument)
{
	struct visitor *visitor = argument;

	(void)input;
	if (info->n_added > 0 && visitor->arrival.moment == 0)
		visitor->arrival = arrive();
}

static bool find_peer(const struct bufferevent *connection, struct address *peer)
{
	socklen_t size = sizeof(*peer);

	return getpeername(bufferevent_getfd((struct bufferevent *)connection), &peer->any,
			   &size) == 0;
}

bool visitors_allow(const struct visitors *visitors, const struct bufferevent *connection)
{
	struct address peer;

	return visitors->access->range_count == 0 ||
	       (find_peer(connection, &peer) && access_allows(visitors->access, &peer));
}

/* Finds out where a visitor comes from, which cannot be known while it is being accepted. */
static void learn(const struct visitors *visitors, struct visitor *visitor)
{
	struct address peer;
	uint64_t network, hash;

	if (visitor->network != 0 || !find_peer(visitor->connection, &peer))
		return;
	network = address_network(&peer);
	hash = hash_bytes(&visitors->key, &network, sizeof(network));
	visitor->network = 1 + (unsigned)(hash % VISITORS_NETWORKS);
	if (!access_allows(visitors->access, &peer))
		visitor->since = LONG_AGO; /* after a moment in which it may ask, and be refused */
}

/* Whether it has all of its answers, and nothing of another request has come. */
static bool is_idle(const struct visitor *visitor)
{
	return visitor->answered && visitor->arrival.moment == 0 &&
	       evbuffer_get_length(bufferevent_get_output(visitor->connection)) == 0;
}

static bool makes_way_for(const struct visitor *one, const struct visitor *other)
{
	if (is_idle(one) != is_idle(other))
		return is_idle(one);
	return one->since < other->since;
}

/* The one that makes way for a new one. */
static struct visitor *choose(struct visitors *visitors)
{
	unsigned counts[VISITORS_NETWORKS + 1] = { 0 }, most = 0;
	struct visitor *chosen = visitors->places;

	for (size_t i = 0; i < visitors->capacity; i++) {
		struct visitor *visitor = &visitors->places[i];

		learn(visitors, visitor);
		if (++counts[visitor->network] > counts[most]) {
			most = visitor->network;
			chosen = visitor;
		}
	}
	for (size_t i = 0; i < visitors->capacity; i++) {
		struct visitor *visitor = &visitors->places[i];

		if (visitor->network == most && makes_way_for(visitor, chosen))
			chosen = visitor;
	}
	return chosen;
}

static struct visitor *find_place(struct visitors *visitors)
{
	for (size_t i = 0; i < visitors->capacity; i++) {
		struct visitor *visitor = &visitors->places[i];

		if (!visitor->connection || free_if_closed(visitor))
			return visitor;
	}
	return NULL;
}

static struct visitor *make_room(struct visitors *visitors)
{
	struct visitor *place = find_place(visitors);

	if (place)
		return place;
	place = choose(visitors);
	cut(place);
	evbuffer_remove_cb(bufferevent_get_input(place->connection), note_arrival, place);
	bufferevent_decref(place->connection);
	return place;
}

static size_t count_descriptors(rlim_t limit)
{
	size_t count = 0;

	for (int fd = 0; fd < COUNTED && (rlim_t)fd < limit; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

static size_t limit_to(size_t least, size_t number, size_t most)
{
	return number < least ? least : number < most ? number : most;
}

void visitors_open(struct visitors *visitors, struct access *access, struct counter *open)
{
	struct rlimit limit = { .rlim_cur = COUNTED };
	size_t others, room = 2;

	getrlimit(RLIMIT_NOFILE, &limit);
	others = count_descriptors(limit.rlim_cur) + SPARE;
	if (limit.rlim_cur > others + room)
		room = limit.rlim_cur - others;
	visitors->batch = limit_to(1, room / PART, VISITORS_BATCH);
	visitors->capacity = limit_to(1, room - visitors->batch, VISITORS_MAX);
	if (limit.rlim_cur > others + visitors->batch + visitors->capacity)
		limit.rlim_cur = others + visitors->batch + visitors->capacity;
	setrlimit(RLIMIT_NOFILE, &limit);
	visitors->access = access;
	visitors->key = hash_key_make();
	visitors->open = open;
	counter_set(open, 0); /* those of a process that died are gone with it */
}

void visitors_count_no_more(struct visitors *visitors)
{
	counter_set(visitors->open, 0);
	visitors->open = NULL;
}

static void tell_count(const struct visitors *visitors)
{
	if (visitors->open)
		counter_set(visitors->open, visitors_count(visitors));
}

struct bufferevent *visitors_add(struct visitors *visitors, struct event_base *base)
{
	struct bufferevent *connection = bufferevent_socket_new(base, -1, 0);
	struct visitor *visitor;

	if (!connection)
		return NULL;
	visitor = make_room(visitors);
	/* While an answer waits to be read, evhttp goes on reading, but takes nothing. */
	bufferevent_setwatermark(connection, EV_READ, 0, VISITOR_INPUT_MAX);
	bufferevent_incref(connection);
	*visitor = (struct visitor){ .connection = connection, .since = clock_monotonic() };
	evbuffer_add_cb(bufferevent_get_input(connection), note_arrival, visitor);
	tell_count(visitors);
	return connection;
}

static struct visitor *find(struct visitors *visitors, const struct bufferevent *connection)
{
	for (size_t i = 0; i < visitors->capacity; i++) {
		if (visitors->places[i].connection == connection)
			return &visitors->places[i];
	}
	return NULL; /* it has made way */
}

struct arrival visitors_take_request(struct visitors *visitors, struct bufferevent *connection)
{
	struct visitor *visitor = find(visitors, connection);
	struct arrival arrival = { 0 };

	if (visitor) {
		arrival = visitor->arrival;
		visitor->arrival = (struct arrival){ 0 };
		visitor->answered = true;
		visitor->since = clock_monotonic();
	}
	return arrival.moment != 0 ? arrival : arrive();
}

void visitors_dismiss(struct visitors *visitors, struct bufferevent *connection)
{
	struct visitor *visitor = find(visitors, connection);

	if (visitor)
		visitor->since = LONG_AGO;
}

void visitors_sweep(struct visitors *visitors, int64_t now)
{
	for (size_t i = 0; i < visitors->capacity; i++) {
		struct visitor *visitor = &visitors->places[i];

		if (!visitor->connection || free_if_closed(visitor))
			continue;
		if (now - visitor->since > VISITOR_PATIENCE)
			cut(visitor);
		else
			learn(visitors, visitor);
	}
	tell_count(visitors);
}

unsigned visitors_count(const struct visitors *visitors)
{
	unsigned count = 0;

	for (size_t i = 0; i < visitors->capacity; i++)
		count += visitors->places[i].connection != NULL;
	return count;
}
