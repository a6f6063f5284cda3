/* Requests over TCP, from accept to close.
 *
 * The whole answer and the end of the connection leave in one segment: send with MSG_MORE holds the
 * text back until shutdown adds the FIN. Closing at once would then be wrong, though: bytes of the
 * client that are still unread, or come later, would make the kernel reset the connection, and a
 * reset may destroy the answer before the client has read it. So the connection is kept, drained,
 * and closed when the client has closed its end. Most have within a round trip: they are looked at
 * once after a moment, which costs one call. Those that have not are then watched by epoll until a
 * deadline, and cut off. */
#ifndef SERVER_STREAMS_H
#define SERVER_STREAMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/log.h"
#include "clock/clock.h"
#include "server/request/service.h"
#include "stats/counters.h"

enum stream_state {
	STREAM_FREE,	/* a slot without a connection */
	STREAM_REPLIED, /* answered, and not looked at since */
	STREAM_POLLED,	/* by epoll */
	STREAM_STATES,
};

/* A connection that was answered and is not closed yet. */
struct stream {
	int fd;
	enum stream_state state;
	uint32_t next, previous; /* in the list of its state */
	uint32_t drained;	 /* bytes the client sent for nothing */
	int64_t accepted;	 /* on the monotonic clock */
};

/* Connections in the order in which they were accepted: the first is always the next to be due. */
struct stream_list {
	uint32_t first, last;
};

struct streams {
	const struct service *service;
	struct counters *counters;
	struct top_clients *top_clients;
	int epoll;
	int reserve; /* a descriptor to give up when there are no others: see streams_accept */
	struct stream *slots;
	uint32_t capacity;
	uint32_t used; /* slots from here on were never used */
	struct stream_list lists[STREAM_STATES];
	uint32_t open;
	uint32_t batch;	      /* how many to accept in a row */
	uint32_t accepted;    /* so far */
	int64_t accept_after; /* accept nothing before: the system has run short of something */
	struct clock_second now;
};

/* Prepares for capacity connections at a time. Their memory is touched only as they come. Events of
 * theirs are tagged EVENT_STREAM on epoll. Returns false, with errno, if something is short. */
bool streams_open(struct streams *streams, int epoll, const struct service *service,
		  struct counters *counters, struct top_clients *top_clients, uint32_t capacity);

/* Closes everything. */
void streams_close(struct streams *streams);

/* Answers connections that wait on a listener: a batch at most, so that other listeners get their
 * turn; epoll tells of the rest again. Returns false when none is left.
 *
 * When there is no room for another connection, the one that was answered longest ago is closed for
 * it. When the system has no descriptor left and there is nothing to close, a reserve is given up
 * for long enough to answer one client, and accepting pauses, rather than spin on a socket that
 * stays readable. */
bool streams_accept(struct streams *streams, const struct listener *listener, int64_t now);

/* Answers all that wait on a listener which is about to be closed. */
void streams_drain_listener(struct streams *streams, const struct listener *listener, int64_t now);

/* Drains a watched connection, and closes it if the client has. */
void streams_readable(struct streams *streams, uint32_t index);

/* Does what is due at now. Returns when it wants to be called again, INT64_MAX for never. */
int64_t streams_tick(struct streams *streams, int64_t now);

#endif
