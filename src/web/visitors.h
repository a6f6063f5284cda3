/* The connections, a limited number of them, each with a limited time.
 *
 * A connection on which no request was completed for VISITOR_PATIENCE is cut: whether it sends too
 * slowly, does not read its answer or is simply quiet. Where there is no room for a new one, that
 * which has been quiet for the longest makes way. evhttp cannot do either. */
#ifndef WEB_VISITORS_H
#define WEB_VISITORS_H

#include <event2/bufferevent.h>
#include <stdint.h>

#include "base/counter.h"
#include "clock/clock.h"

#define VISITORS_MAX	 256
#define VISITOR_PATIENCE (10 * CLOCK_SECOND)

struct visitor {
	struct bufferevent *connection; /* NULL: a free place */
	int64_t since;	  /* when it was accepted or last answered, on the monotonic clock */
	int64_t received; /* when the first byte of its request came, since 1970; 0: not yet */
};

struct visitors {
	struct visitor places[VISITORS_MAX];
	size_t capacity;      /* of these, so many are used */
	struct counter *open; /* how many there are */
};

/* Finds out how many there may be within the limit on descriptors. */
void visitors_open(struct visitors *visitors, struct counter *open);

/* Makes a connection for a socket that was just accepted, for evhttp to use and to free. NULL if
 * memory is short. */
struct bufferevent *visitors_add(struct visitors *visitors, struct event_base *base);

/* A request has come whole: returns when its first byte did, in nanoseconds since 1970, and gives
 * the connection time for the next one. */
int64_t visitors_take_request(struct visitors *visitors, struct bufferevent *connection);

/* The connection is cut at the next sweep, if it is there still. */
void visitors_dismiss(struct visitors *visitors, struct bufferevent *connection);

/* Forgets connections that are closed, and cuts those whose time is over. To be called now and
 * then. */
void visitors_sweep(struct visitors *visitors, int64_t now);

/* How many requests are being answered, or connections kept, right now. */
unsigned visitors_count(const struct visitors *visitors);

#endif
