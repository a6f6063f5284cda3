/* A worker: a thread that answers at its own sockets, out of its own memory.
 *
 * Sockets of UDP are waited for by poll(2): epoll would stay registered with them while they are
 * busy, and be called for each reply that leaves, which costs a tenth of the whole way. Everything
 * else is epoll's.
 *
 * Threads are cheap to end and to start again, and the kernel keeps what comes meanwhile. So
 * nothing is ever changed under a worker that runs: a reload stops them all, makes its changes and
 * starts them again. */
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
	struct pollfd *waits; /* for epoll, which stands first, and for the sockets of UDP */
	size_t *indexes;      /* of these among the service's listeners */
	size_t wait_count;
	int epoll;	     /* minds all the others */
	int wake;	     /* eventfd(2), written to end the thread */
	bool paused;	     /* TCP listeners are not watched for now */
	int64_t busy_until;  /* do not sleep before */
	int64_t drain_until; /* the time for a farewell; INT64_MAX while serving */
	bool running;
	atomic_bool stop;
	pthread_t thread;
	struct worker *next; /* among those that have retired: see workers_join_retired */
};

/* Opens what a worker works with. It counts in the stats, at the place of its number. connections:
 * how many at a time. On failure worker_close still has to be called. */
bool worker_open(struct worker *worker, const struct service *service, unsigned number,
		 uint32_t connections, struct failure *failure);

void worker_close(struct worker *worker);

/* Starts the thread, with all signals blocked. Returns false, with errno, if there is none to be
 * had. */
bool worker_start(struct worker *worker);

/* Ends the thread, if it runs, at the next opportunity, and waits for that. */
void worker_stop(struct worker *worker);

/* Waits for the thread of a worker whose drain_until is set to end by itself. */
void worker_join(struct worker *worker);

/* Watches the listener at an index of the service's, or no listener any more. The worker must not
 * run. */
bool worker_add_listener(struct worker *worker, size_t index);
void worker_remove_listeners(struct worker *worker);

/* Answers all that the kernel has let in at a listener which is about to be closed. The worker must
 * not run. */
void worker_drain_listener(struct worker *worker, const struct listener *listener);

#endif
