/* The connections of HTTP: limited in number, and each in time. evhttp can do neither.
 *
 * A connection on which no request was completed for CONNECTIONS_TIMEOUT is shut down, whether
 * it sends too slowly, does not read its reply or is idle; so is a connection from an address
 * that may not use this server. When all slots are taken, a new connection evicts one of the
 * network with the most: the longest idle or, if none is idle, the longest without a completed
 * request. */
#ifndef WEB_CONNECTIONS_H
#define WEB_CONNECTIONS_H

#include <event2/bufferevent.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/access.h"
#include "base/counter.h"
#include "base/hash.h"
#include "clock/clock.h"

#define CONNECTIONS_MAX	      256
#define CONNECTIONS_BATCH_MAX 64
#define CONNECTIONS_NETWORKS  509   /* hash values that networks are told apart by */
#define CONNECTIONS_INPUT_MAX 16384 /* bytes of one connection that wait to be parsed */
#define CONNECTIONS_TIMEOUT   (10 * CLOCK_SECOND)

/* When the first byte of a request came. */
struct connection_arrival {
	int64_t clock; /* on the system clock, nanoseconds since 1970 */
	int64_t mono;  /* on the monotonic clock; 0: it has not come */
};

struct connection {
	struct bufferevent *stream; /* NULL: a free slot */
	int64_t since; /* when it was accepted or last replied to, on the monotonic clock */
	struct connection_arrival arrival;
	bool replied;	  /* to one request at least */
	unsigned network; /* hash of its network, 1 to CONNECTIONS_NETWORKS; 0: not known yet */
};

struct connections {
	struct connection slots[CONNECTIONS_MAX];
	size_t capacity; /* slots in use */
	size_t batch;	 /* the most to be accepted before those accepted are read */
	struct access *access;
	struct hash_key key;  /* for networks */
	struct counter *open; /* how many there are; NULL: another process reports that */
};

/* Sets capacity by RLIMIT_NOFILE, and that to what is needed. open is kept up to date. */
void connections_open(struct connections *connections, struct access *access, struct counter *open);

/* Stops reporting how many there are: the process that replaces this one does. */
void connections_stop_counting(struct connections *connections);

/* Makes the bufferevent of a socket that is being accepted, for evhttp to use and to free. NULL if
 * out of memory. */
struct bufferevent *connections_add(struct connections *connections, struct event_base *base);

/* A request is complete: returns when its first byte came, and starts the time for the next one. */
struct connection_arrival connections_take_request(struct connections *connections,
						   const struct bufferevent *stream);

/* Whether the peer may use this server. */
bool connections_allow(const struct connections *connections, struct bufferevent *stream);

/* Has the connection shut down by the next connections_expire, if it is still there. */
void connections_close_soon(struct connections *connections, const struct bufferevent *stream);

/* Frees the slots of closed connections and shuts down timed-out connections. To be called several
 * times a second. */
void connections_expire(struct connections *connections, int64_t now);

/* How many there are. */
unsigned connections_count(const struct connections *connections);

#endif
