#include "server/request/streams.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/events.h"
#include "server/sockets/socket.h"

#define BATCH_MAX 64

/* To be told where a connection comes from costs time. One speaks for so many. */
#define PEER_SAMPLE 16

#define FIRST_DRAIN_AFTER (CLOCK_MILLISECOND / 10)
#define RESET_AFTER	  (5 * CLOCK_SECOND)
#define ACCEPT_PAUSE	  (100 * CLOCK_MILLISECOND)
#define DRAIN_MAX	  (1U << 20) /* a client that sends more than this wants no answer */
#define DRAIN_PIECE	  (1U << 16)

#define NONE UINT32_MAX

/* Of all workers together: what one is short of, the others are soon. */
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

/* The slot freed last, so that a quiet server touches little memory; NONE if all are taken. */
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

/* With a reset, so that the kernel too keeps nothing of a client that does not play along. */
static void stream_reset(struct streams *streams, uint32_t index)
{
	struct linger reset = { .l_onoff = 1 };

	setsockopt(streams->slots[index].fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	stream_close(streams, index);
}

enum drain_result { DRAIN_EMPTY, DRAIN_MORE, DRAIN_END, DRAIN_TOO_MUCH };

/* Throws away a piece of what the client has sent: MSG_TRUNC does so without copying it. */
static enum drain_result stream_drain(struct stream *stream)
{
	ssize_t size = recv(stream->fd, NULL, DRAIN_PIECE, MSG_TRUNC | MSG_DONTWAIT);

	if (size < 0)
		return errno == EAGAIN || errno == EINTR ? DRAIN_EMPTY : DRAIN_END;
	if (size == 0)
		return DRAIN_END;
	stream->drained += (uint32_t)size;
	return stream->drained > DRAIN_MAX ? DRAIN_TOO_MUCH : DRAIN_MORE;
}

void streams_readable(struct streams *streams, uint32_t index)
{
	/* An event may be older than what happened to its slot earlier in the same batch. */
	if (streams->slots[index].state != STREAM_POLLED)
		return;
	switch (stream_drain(&streams->slots[index])) {
	case DRAIN_EMPTY:
	case DRAIN_MORE:
		break;
	case DRAIN_END:
		stream_close(streams, index);
		break;
	case DRAIN_TOO_MUCH:
		stream_reset(streams, index);
		break;
	}
}

/* The one look at a connection a moment after its answer. */
static void stream_first_drain(struct streams *streams, uint32_t index)
{
	struct stream *stream = &streams->slots[index];
	enum drain_result result;

	do {
		result = stream_drain(stream);
	} while (result == DRAIN_MORE);
	if (result == DRAIN_END) {
		stream_close(streams, index);
	} else if (result == DRAIN_EMPTY && event_add_fd(streams->epoll, EPOLL_CTL_ADD, stream->fd,
							 event_tag(EVENT_STREAM, index))) {
		stream_move(streams, index, STREAM_POLLED);
	} else {
		stream_reset(streams, index);
	}
}

/* The request's way: the time as late as possible, and the reply, which waits for the FIN. */
static void stream_reply(struct streams *streams, const struct listener *listener, int fd)
{
	struct protocol_request request = { .now = &streams->now };
	uint8_t bytes[PROTOCOL_REPLY_MAX];
	struct bytes_writer reply = bytes_writer_open(bytes, sizeof(bytes));
	size_t size;

	clock_read_second(&streams->now);
	listener->protocol->reply(&request, &reply);
	size = bytes_written(&reply);
	if (size > 0 && send(fd, bytes, size, MSG_MORE | MSG_NOSIGNAL) == (ssize_t)size)
		counter_add(&streams->counters->replies[protocol_index(listener->protocol)], 1);
	else
		counter_add(&streams->counters->drops[DROP_FAILED], 1);
}

/* Why a connection gets no answer; DROP_COUNT if it does. */
static enum drop stream_admit(const struct streams *streams, const struct listener *listener,
			      const struct address *peer, int64_t now)
{
	const struct service *service = streams->service;
	struct clock_state state;

	if (!access_allows(&service->config.access, peer))
		return DROP_DENIED;
	clock_state_read(&service->stats->clock, now, &state);
	return service_is_silent(service, listener->protocol, &state) ? DROP_UNSYNCHRONISED :
									DROP_COUNT;
}

/* Accepts a connection and answers it, if it is to be answered. Returns it, or -1 with errno. */
static int stream_accept(struct streams *streams, const struct listener *listener, int64_t now)
{
	const struct config *config = &streams->service->config;
	bool need_peer = config->require_sync || config->access.range_count > 0;
	bool sample_peer = streams->accepted++ % PEER_SAMPLE == 0;
	enum drop reason = DROP_COUNT;
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
		reason = stream_admit(streams, listener, &peer, now);
	if (reason == DROP_COUNT)
		stream_reply(streams, listener, fd);
	else
		counter_add(&streams->counters->drops[reason], 1);
	shutdown(fd, SHUT_WR);
	return fd;
}

/* Makes room by closing what was answered longest ago. Returns whether there was anything. */
static bool close_oldest(struct streams *streams)
{
	uint32_t oldest = streams->lists[STREAM_POLLED].first;

	if (oldest == NONE)
		oldest = streams->lists[STREAM_REPLIED].first;
	if (oldest == NONE)
		return false;
	stream_drain(&streams->slots[oldest]);
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

/* No descriptor or no memory. Returns whether to go on accepting at once. */
static bool handle_out_of_fds(struct streams *streams, const struct listener *listener, int64_t now)
{
	int fd;

	log_limited(&shortage, LOG_WARNING, "cannot accept a connection: %m");
	if (close_oldest(streams))
		return true;
	if (streams->reserve >= 0)
		close(streams->reserve);
	fd = stream_accept(streams, listener, now);
	if (fd >= 0)
		close(fd);
	streams->reserve = open("/dev/null", O_RDONLY | O_CLOEXEC);
	streams->accept_after = now + ACCEPT_PAUSE;
	return false;
}

bool streams_accept(struct streams *streams, const struct listener *listener, int64_t now)
{
	uint32_t batch = streams->batch;

	/* To find out that nobody is left costs a call as dear as that which finds somebody. So on
	 * a quiet server a batch is one client, and it grows as long as batches fill up. */
	streams->batch = batch < BATCH_MAX ? batch * 2 : BATCH_MAX;
	for (uint32_t i = 0; i < batch; i++) {
		int fd = stream_accept(streams, listener, now);

		if (fd >= 0) {
			stream_keep(streams, fd, now);
			continue;
		}
		switch (errno) {
		case EAGAIN:
			streams->batch = 1;
			return false;
		case EMFILE:
		case ENFILE:
		case ENOBUFS:
		case ENOMEM:
			if (!handle_out_of_fds(streams, listener, now))
				return false;
			break;
		default: /* that connection has come to nothing; the next one may not */
			break;
		}
	}
	return true;
}

void streams_drain_listener(struct streams *streams, const struct listener *listener, int64_t now)
{
	/* As many as can wait, and not for as long as more keep coming. */
	for (uint32_t accepted = 0; accepted < SOCKET_BACKLOG; accepted += streams->batch) {
		if (!streams_accept(streams, listener, now))
			break;
	}
}

/* The first connection of a state, if it is due: it was accepted long enough before now. Else NONE,
 * and *due, where it lies later, becomes the time when it will be. */
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

	while ((index = next_due(streams, STREAM_REPLIED, FIRST_DRAIN_AFTER, now, &due)) != NONE)
		stream_first_drain(streams, index);
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
		.batch = 1,
		.lists = { { NONE, NONE }, { NONE, NONE }, { NONE, NONE } },
	};
	streams->slots = calloc(streams->capacity, sizeof(*streams->slots));
	return streams->slots && streams->reserve >= 0;
}

void streams_close(struct streams *streams)
{
	while (streams->slots && close_oldest(streams))
		continue;
	if (streams->reserve >= 0)
		close(streams->reserve);
	free(streams->slots);
}
