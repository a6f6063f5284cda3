/* Requests over TCP, from accept to close.
 *
 * The reply and the end of the connection leave in one segment: send with MSG_MORE holds the text
 * back until shutdown adds the FIN. Closing at once would then be wrong: bytes of the client that
 * are unread, or come later, would make the kernel reset the connection, and a reset may destroy
 * the reply before the client has read it. So the connection is kept, and input discarded, until
 * the client has closed its end. Most clients have within a round trip: to look once after a moment
 * costs one call. The others are then polled by epoll until a deadline, and reset. */
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
	STREAM_FREE,	/* the slot is unused */
	STREAM_REPLIED, /* got its reply, input not looked at yet */
	STREAM_POLLED,	/* by epoll */
	STREAM_STATES,
};

/* A connection that got its reply and is not closed yet. */
struct stream {
	int fd;
	enum stream_state state;
	uint32_t next, previous; /* in the list of its state */
	uint32_t discarded;	 /* bytes of input */
	int64_t accepted;	 /* on the monotonic clock */
};

/* In the order of accepting: the first is always the next to be due. */
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
	uint32_t burst;	      /* connections to accept in a row */
	uint32_t attempts;    /* to accept, so far */
	int64_t accept_after; /* on the monotonic clock; later while short of descriptors */
	struct clock_second now;
};

/* Prepares for capacity connections at a time; their memory is touched only as they come. Their
 * events on epoll are tagged EVENT_STREAM. Returns false with errno. */
bool streams_open(struct streams *streams, int epoll, const struct service *service,
		  struct counters *counters, struct top_clients *top_clients, uint32_t capacity);

/* Closes everything. */
void streams_close(struct streams *streams);

/* Serves one burst of connections that wait on a listener, so that other listeners get their turn.
 * Returns false when none is left.
 *
 * When all slots are in use, the connection that got its reply first is closed. When the system is
 * out of descriptors and there is nothing to close, the reserve is given up for long enough to
 * serve one client, and accepting pauses instead of spinning on a readable socket. */
bool streams_accept(struct streams *streams, const struct listener *listener, int64_t now);

/* Serves all that wait on a listener that is about to be closed. */
void streams_drain_listener(struct streams *streams, const struct listener *listener, int64_t now);

/* Discards input of a polled connection, and closes it if the client has. */
void streams_readable(struct streams *streams, uint32_t index);

/* Does what is due at now. Returns when to be called again; INT64_MAX: no need. */
int64_t streams_tick(struct streams *streams, int64_t now);

#endif
