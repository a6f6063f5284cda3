/* A worker: a thread that serves its own sockets with its own memory.
 *
 * It waits for UDP sockets by poll(2): an epoll stays registered with a busy socket and is called
 * for each reply that leaves, which costs a tenth of the time per request. Everything else is in
 * epoll.
 *
 * Threads are cheap to stop and start, and the kernel queues requests meanwhile. So nothing changes
 * under a running worker: a reload stops all workers, makes its changes and starts them again. */
#ifndef SERVER_WORKER_H
#define SERVER_WORKER_H

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "server/request/datagrams.h"
#include "server/request/service.h"
#include "server/request/streams.h"

struct worker {
	const struct service *service;
	struct top_clients top_clients;
	struct streams streams;
	struct datagrams datagrams;
	struct pollfd *waits; /* epoll, at index 0, and the UDP sockets */
	size_t *indexes;      /* their indexes among the listeners of the service */
	size_t wait_count;
	int epoll;	     /* everything but UDP */
	int wake;	     /* eventfd(2), written to stop the thread or to see that it runs */
	bool paused;	     /* TCP listeners are disabled for now */
	int64_t busy_until;  /* do not sleep before, on the monotonic clock */
	int64_t drain_until; /* when to end in any case; INT64_MAX while serving */
	bool running;
	atomic_bool stop;
	pthread_t thread;
	struct worker *next; /* in the list of retired workers */
};

/* Opens a worker that counts in the stats of worker `number` and has room for this number of TCP
 * connections. On failure worker_close still has to be called. */
bool worker_open(struct worker *worker, const struct service *service, unsigned number,
		 uint32_t connections, struct failure *failure);

void worker_close(struct worker *worker);

/* Starts the thread, with all signals blocked. Returns false with errno. */
bool worker_start(struct worker *worker);

/* Stops the thread, if it runs, and joins it. */
void worker_stop(struct worker *worker);

/* Whether the thread has read the last worker_wake, or does not run. */
bool worker_is_awake(const struct worker *worker);
void worker_wake(const struct worker *worker);

/* Joins the thread of a worker that ends by itself, since its drain_until is set. */
void worker_join(struct worker *worker);

/* Adds the listener at an index of the service, or removes all. The worker must not run. */
bool worker_add_listener(struct worker *worker, size_t index);
void worker_remove_listeners(struct worker *worker);

/* Serves all that waits on a listener that is about to be closed. The worker must not run. */
void worker_drain_listener(struct worker *worker, const struct listener *listener);

#endif
