/* The connections, a limited number of them, each with a limited time.
 *
 * A connection on which no request was completed for VISITOR_PATIENCE is cut: whether it sends too
 * slowly, does not read its answer or is simply quiet; so is one that may not ask. Where there is
 * no room for a new one, one of the network that has the most makes way: that which has been quiet
 * for the longest, if it was answered. evhttp can do none of this. */
#ifndef WEB_CONNECTIONS_H
#define WEB_CONNECTIONS_H

#include <event2/bufferevent.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/access.h"
#include "base/counter.h"
#include "base/hash.h"
#include "clock/clock.h"

#define VISITORS_MAX	  256
#define VISITORS_BATCH	  64
#define VISITORS_NETWORKS 509	/* that are told apart, of all there are */
#define VISITOR_INPUT_MAX 16384 /* bytes that wait to be taken, of a connection */
#define VISITOR_PATIENCE  (10 * CLOCK_SECOND)

/* When the first byte of a request came. */
struct arrival {
	int64_t clock;	/* on the system clock, nanoseconds since 1970 */
	int64_t moment; /* on the monotonic clock; 0: it has not come */
};

struct visitor {
	struct bufferevent *connection; /* NULL: a free place */
	int64_t since; /* when it was accepted or last answered, on the monotonic clock */
	struct arrival arrival;
	bool answered;	  /* once at least */
	unsigned network; /* a number from 1 on that it shares with few others; 0: not known yet */
};

struct visitors {
	struct visitor places[VISITORS_MAX];
	size_t capacity; /* of these, so many are used */
	size_t batch;	 /* to be accepted without hearing those that were at most */
	struct access *access;
	struct hash_key key;  /* for the numbers of networks */
	struct counter *open; /* how many there are, for others to see; NULL: see below */
};

/* Finds out how many there may be within the limit on descriptors, and sets that to what they need.
 * access says who may ask; open is told how many there are. */
void visitors_open(struct visitors *visitors, struct access *access, struct counter *open);

/* Leaves it to another process to say how many there are: it has none of these. */
void visitors_count_no_more(struct visitors *visitors);

/* Makes a connection for a socket that was just accepted, for evhttp to use and to free. NULL if
 * memory is short. */
struct bufferevent *visitors_add(struct visitors *visitors, struct event_base *base);

/* A request has come whole: returns when its first byte did, and gives the connection time for the
 * next one. */
struct arrival visitors_take_request(struct visitors *visitors, struct bufferevent *connection);

/* Whether it may ask. */
bool visitors_allow(const struct visitors *visitors, const struct bufferevent *connection);

/* The connection is cut at the next sweep, if it is there still. */
void visitors_dismiss(struct visitors *visitors, struct bufferevent *connection);

/* Forgets connections that are closed, and cuts those whose time is over. To be called now and
 * then. */
void visitors_sweep(struct visitors *visitors, int64_t now);

/* How many requests are being answered, or connections kept, right now. */
unsigned visitors_count(const struct visitors *visitors);

#endif
