#include "server/request/streams.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "server/process/event.h"
#include "server/sockets/socket.h"

#define BURST_MAX 64

/* accept4(2) with an address is slower: one connection in 16 stands for all of them. */
#define PEER_SAMPLE 16

#define DISCARD_AFTER (CLOCK_MILLISECOND / 10)
#define RESET_AFTER   (5 * CLOCK_SECOND)
#define ACCEPT_PAUSE  (100 * CLOCK_MILLISECOND)
#define DISCARD_MAX   (1U << 20) /* bytes; a client that sends more is reset */
#define DISCARD_PIECE (1U << 16)

#define NONE UINT32_MAX

/* Of all workers: a shortage of one is soon a shortage of all. */
static struct log_limit shortage;

static void list_append(struct streams *streams, uint32_t index, enum stream_state state)
{
	struct stream_list *list = &streams->lists[state];
	struct stream *stream = &streams->slots[index];

	stream->state = state;
	stream->next = NONE;
	stream->previous = list->last;
	if (list->last == NONE)
		list->first = index;
	else
		streams->slots[list->last].next = index;
	list->last = index;
}

static void list_remove(struct streams *streams, uint32_t index)
{
	const struct stream *stream = &streams->slots[index];
	struct stream_list *list = &streams->lists[stream->state];

	if (stream->previous == NONE)
		list->first = stream->next;
	else
		streams->slots[stream->previous].next = stream->next;
	if (stream->next == NONE)
		list->last = stream->previous;
	else
		streams->slots[stream->next].previous = stream->previous;
}

static void stream_move(struct streams *streams, uint32_t index, enum stream_state state)
{
	list_remove(streams, index);
	list_append(streams, index, state);
}

/* The slot freed last, so that a quiet server touches little memory; NONE if all are in use. */
static uint32_t slot_take(struct streams *streams)
{
	uint32_t index = streams->lists[STREAM_FREE].last;

	if (index != NONE)
		list_remove(streams, index);
	else if (streams->used < streams->capacity)
		index = streams->used++;
	return index;
}

static void stream_close(struct streams *streams, uint32_t index)
{
	close(streams->slots[index].fd);
	stream_move(streams, index, STREAM_FREE);
	counter_set(&streams->counters->connections, --streams->open);
}

/* Closes with a reset, so that the kernel keeps nothing of it either. */
static void stream_reset(struct streams *streams, uint32_t index)
{
	struct linger reset = { .l_onoff = 1 };

	setsockopt(streams->slots[index].fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	stream_close(streams, index);
}

enum discard_result { DISCARD_EMPTY, DISCARD_MORE, DISCARD_END, DISCARD_TOO_MUCH };

/* Discards up to DISCARD_PIECE bytes of what the client has sent; MSG_TRUNC does so without a
 * copy. */
static enum discard_result stream_discard(struct stream *stream)
{
	ssize_t size = recv(stream->fd, NULL, DISCARD_PIECE, MSG_TRUNC | MSG_DONTWAIT);

	if (size < 0)
		return errno == EAGAIN || errno == EINTR ? DISCARD_EMPTY : DISCARD_END;
	if (size == 0)
		return DISCARD_END;
	stream->discarded += (uint32_t)size;
	return stream->discarded > DISCARD_MAX ? DISCARD_TOO_MUCH : DISCARD_MORE;
}

void streams_readable(struct streams *streams, uint32_t index)
{
	/* The event may belong to a connection that was closed earlier in the same wake-up. */
	if (streams->slots[index].state != STREAM_POLLED)
		return;
	switch (stream_discard(&streams->slots[index])) {
	case DISCARD_EMPTY:
	case DISCARD_MORE:
		break;
	case DISCARD_END:
		stream_close(streams, index);
		break;
	case DISCARD_TOO_MUCH:
		stream_reset(streams, index);
		break;
	}
}

/* Discards input a moment after the reply; most clients have closed the connection by then. */
static void stream_first_discard(struct streams *streams, uint32_t index)
{
	struct stream *stream = &streams->slots[index];
	enum discard_result result;

	do {
		result = stream_discard(stream);
	} while (result == DISCARD_MORE);
	if (result == DISCARD_END) {
		stream_close(streams, index);
	} else if (result == DISCARD_EMPTY &&
		   event_add_fd(streams->epoll, stream->fd, event_tag(EVENT_STREAM, index))) {
		stream_move(streams, index, STREAM_POLLED);
	} else {
		stream_reset(streams, index);
	}
}

/* The clock, read as late as possible, and the reply, which MSG_MORE holds back for the FIN. */
static void stream_reply(struct streams *streams, const struct listener *listener, int fd)
{
	struct protocol_request request = { .now = &streams->now };
	uint8_t bytes[PROTOCOL_REPLY_MAX];
	struct bytes_writer writer = bytes_writer_open(bytes, sizeof(bytes));
	size_t size;

	clock_read_second(&streams->now);
	listener->protocol->reply(&request, &writer);
	size = bytes_written(&writer);
	if (size > 0 && send(fd, bytes, size, MSG_MORE | MSG_NOSIGNAL) == (ssize_t)size)
		counter_add(&streams->counters->replies[protocol_index(listener->protocol)], 1);
	else
		counter_add(&streams->counters->drops[DROP_FAILED], 1);
}

/* Whether a connection gets a reply: DROP_NONE, or why not. */
static enum drop stream_admit(const struct streams *streams, const struct listener *listener,
			      const struct address *peer, int64_t now)
{
	const struct service *service = streams->service;
	struct clock_state state;

	if (!access_allows(&service->config.access, peer))
		return DROP_DENIED;
	clock_state_read(&service->stats->clock, now, &state);
	return service_is_silent(service, listener->protocol, &state) ? DROP_UNSYNCHRONISED :
									DROP_NONE;
}

/* Accepts a connection, and sends the reply if it gets one. Returns its descriptor, or -1 with
 * errno. */
static int stream_accept(struct streams *streams, const struct listener *listener, int64_t now)
{
	const struct config *config = &streams->service->config;
	bool need_peer = config->require_sync || config->access.range_count > 0;
	bool sample_peer = streams->attempts++ % PEER_SAMPLE == 0;
	enum drop drop = DROP_NONE;
	struct address peer;
	socklen_t size = sizeof(peer);
	int fd = accept4(listener->fd, need_peer || sample_peer ? &peer.any : NULL,
			 need_peer || sample_peer ? &size : NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd < 0)
		return -1;
	counter_add(&streams->counters->requests[protocol_index(listener->protocol)], 1);
	if (sample_peer)
		top_clients_count(streams->top_clients, &peer, PEER_SAMPLE, now);
	if (need_peer)
		drop = stream_admit(streams, listener, &peer, now);
	if (drop == DROP_NONE)
		stream_reply(streams, listener, fd);
	else
		counter_add(&streams->counters->drops[drop], 1);
	shutdown(fd, SHUT_WR);
	return fd;
}

/* Closes the connection that got its reply first. Returns false if there is none. */
static bool close_oldest(struct streams *streams)
{
	uint32_t oldest = streams->lists[STREAM_POLLED].first;

	if (oldest == NONE)
		oldest = streams->lists[STREAM_REPLIED].first;
	if (oldest == NONE)
		return false;
	stream_discard(&streams->slots[oldest]);
	stream_close(streams, oldest);
	return true;
}

static void stream_keep(struct streams *streams, int fd, int64_t now)
{
	uint32_t index = slot_take(streams);

	if (index == NONE) {
		close_oldest(streams);
		index = slot_take(streams);
	}
	streams->slots[index] = (struct stream){ .fd = fd, .accepted = now };
	list_append(streams, index, STREAM_REPLIED);
	counter_set(&streams->counters->connections, ++streams->open);
}

/* Out of descriptors or memory: closes a connection, or else gives up the reserve descriptor to
 * serve one client, and pauses. Returns true if accepting can go on at once. */
static bool handle_shortage(struct streams *streams, const struct listener *listener, int64_t now)
{
	int fd;

	log_limited(&shortage, LOG_WARNING, "cannot accept a connection: %m");
	if (close_oldest(streams))
		return true;
	fd_close(&streams->reserve);
	fd = stream_accept(streams, listener, now);
	if (fd >= 0)
		close(fd);
	streams->reserve = open("/dev/null", O_RDONLY | O_CLOEXEC);
	streams->accept_after = now + ACCEPT_PAUSE;
	return false;
}

bool streams_accept(struct streams *streams, const struct listener *listener, int64_t now)
{
	uint32_t burst = streams->burst;

	/* An accept4 without a client costs as much as with one. So a burst is one client on a
	 * quiet server, and doubles as long as bursts are full. */
	streams->burst = burst < BURST_MAX ? burst * 2 : BURST_MAX;
	for (uint32_t i = 0; i < burst; i++) {
		int fd = stream_accept(streams, listener, now);

		if (fd >= 0) {
			stream_keep(streams, fd, now);
			continue;
		}
		switch (errno) {
		case EAGAIN:
			streams->burst = 1;
			return false;
		case EMFILE:
		case ENFILE:
		case ENOBUFS:
		case ENOMEM:
			if (!handle_shortage(streams, listener, now))
				return false;
			break;
		default: /* this connection was aborted; the next may be good */
			break;
		}
	}
	return true;
}

void streams_drain_listener(struct streams *streams, const struct listener *listener, int64_t now)
{
	/* At most a full backlog: more may keep coming for ever. */
	for (uint32_t accepted = 0; accepted < SOCKET_BACKLOG; accepted += streams->burst) {
		if (!streams_accept(streams, listener, now))
			break;
	}
}

/* The first connection of a state if it was accepted `after` nanoseconds before now or earlier.
 * Else NONE, and *due becomes the time when it will have been, if that is earlier. */
static uint32_t next_due(const struct streams *streams, enum stream_state state, int64_t after,
			 int64_t now, int64_t *due)
{
	uint32_t first = streams->lists[state].first;
	int64_t time;

	if (first == NONE)
		return NONE;
	time = streams->slots[first].accepted + after;
	if (time <= now)
		return first;
	if (time < *due)
		*due = time;
	return NONE;
}

int64_t streams_tick(struct streams *streams, int64_t now)
{
	int64_t due = INT64_MAX;
	uint32_t index;

	while ((index = next_due(streams, STREAM_REPLIED, DISCARD_AFTER, now, &due)) != NONE)
		stream_first_discard(streams, index);
	while ((index = next_due(streams, STREAM_POLLED, RESET_AFTER, now, &due)) != NONE)
		stream_reset(streams, index);
	return due;
}

bool streams_open(struct streams *streams, int epoll, const struct service *service,
		  struct counters *counters, struct top_clients *top_clients, uint32_t capacity)
{
	*streams = (struct streams){
		.service = service,
		.counters = counters,
		.top_clients = top_clients,
		.epoll = epoll,
		.reserve = open("/dev/null", O_RDONLY | O_CLOEXEC),
		.capacity = capacity,
		.burst = 1,
		.lists = { { NONE, NONE }, { NONE, NONE }, { NONE, NONE } },
	};
	streams->slots = calloc(streams->capacity, sizeof(*streams->slots));
	return streams->slots && streams->reserve >= 0;
}

void streams_close(struct streams *streams)
{
	while (streams->slots && close_oldest(streams))
		continue;
	fd_close(&streams->reserve);
	free(streams->slots);
}
