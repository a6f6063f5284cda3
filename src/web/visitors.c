#include "web/visitors.h"

#include <event2/buffer.h>
#include <sys/resource.h>
#include <sys/socket.h>

/* Descriptors that are no connections. */
#define OTHERS 32

/* We hold a reference to each connection, so evhttp frees it without our being told: but the last
 * thing it does is to take all of its callbacks away. */
static bool is_closed(const struct visitor *visitor)
{
	bufferevent_data_cb read, write;
	bufferevent_event_cb event;

	bufferevent_getcb(visitor->connection, &read, &write, &event, NULL);
	return !read && !write && !event;
}

static void forget(struct visitor *visitor)
{
	bufferevent_decref(visitor->connection);
	*visitor = (struct visitor){ 0 };
}

/* evhttp sees the end of it, and closes it. */
static void cut(struct visitor *visitor)
{
	shutdown(bufferevent_getfd(visitor->connection), SHUT_RDWR);
}

static void note_arrival(struct evbuffer *input, const struct evbuffer_cb_info *info,
			 void *argument)
{
	struct visitor *visitor = argument;

	(void)input;
	if (info->n_added > 0 && visitor->received == 0)
		visitor->received = clock_system();
}

/* A free place, or that of the one which has been quiet for the longest, which is cut. */
static struct visitor *make_room(struct visitors *visitors)
{
	struct visitor *oldest = &visitors->places[0];

	for (size_t i = 0; i < visitors->capacity; i++) {
		struct visitor *visitor = &visitors->places[i];

		if (visitor->connection && is_closed(visitor))
			forget(visitor);
		if (!visitor->connection)
			return visitor;
		if (visitor->since < oldest->since)
			oldest = visitor;
	}
	cut(oldest);
	evbuffer_remove_cb(bufferevent_get_input(oldest->connection), note_arrival, oldest);
	forget(oldest);
	return oldest;
}

void visitors_open(struct visitors *visitors, struct counter *open)
{
	struct rlimit limit;

	visitors->open = open;
	visitors->capacity = VISITORS_MAX;
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < VISITORS_MAX + OTHERS)
		visitors->capacity = limit.rlim_cur > 2 * OTHERS ? limit.rlim_cur - OTHERS : OTHERS;
}

struct bufferevent *visitors_add(struct visitors *visitors, struct event_base *base)
{
	struct bufferevent *connection = bufferevent_socket_new(base, -1, 0);
	struct visitor *visitor;

	if (!connection)
		return NULL;
	visitor = make_room(visitors);
	bufferevent_incref(connection);
	*visitor = (struct visitor){ .connection = connection, .since = clock_monotonic() };
	evbuffer_add_cb(bufferevent_get_input(connection), note_arrival, visitor);
	counter_set(visitors->open, visitors_count(visitors));
	return connection;
}

int64_t visitors_take_request(struct visitors *visitors, struct bufferevent *connection)
{
	int64_t received = 0;

	for (size_t i = 0; i < VISITORS_MAX; i++) {
		struct visitor *visitor = &visitors->places[i];

		if (visitor->connection != connection)
			continue;
		received = visitor->received;
		visitor->received = 0;
		visitor->since = clock_monotonic();
	}
	return received != 0 ? received : clock_system();
}

void visitors_dismiss(struct visitors *visitors, struct bufferevent *connection)
{
	for (size_t i = 0; i < VISITORS_MAX; i++) {
		if (visitors->places[i].connection == connection)
			visitors->places[i].since = INT64_MIN / 2;
	}
}

void visitors_sweep(struct visitors *visitors, int64_t now)
{
	for (size_t i = 0; i < VISITORS_MAX; i++) {
		struct visitor *visitor = &visitors->places[i];

		if (!visitor->connection)
			continue;
		if (is_closed(visitor))
			forget(visitor);
		else if (now - visitor->since > VISITOR_PATIENCE)
			cut(visitor);
	}
	counter_set(visitors->open, visitors_count(visitors));
}

unsigned visitors_count(const struct visitors *visitors)
{
	unsigned count = 0;

	for (size_t i = 0; i < VISITORS_MAX; i++)
		count += visitors->places[i].connection != NULL;
	return count;
}
