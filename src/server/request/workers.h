/* All workers; worker i serves shard i of each listener. */
#ifndef SERVER_WORKERS_H
#define SERVER_WORKERS_H

#include <stdbool.h>

#include "server/request/worker.h"

#define WORKERS_MAX STATS_WORKERS

struct workers {
	struct service *service;
	struct worker **items;
	unsigned count;
	struct worker *retired; /* list of workers that drain their clients and end */
};

/* The number of workers for a configuration on this machine: 1 to WORKERS_MAX. */
unsigned workers_wanted(const struct config *config);

/* Sets the number of workers of the service, which outlives them. None may run. Surplus workers
 * retire: they drain their clients in the background. On failure the workers made so far stay. */
bool workers_resize(struct workers *workers, unsigned count, struct failure *failure);

/* Waits for the retired workers, a quarter of a second at most, and closes them. */
void workers_join_retired(struct workers *workers);

void workers_close(struct workers *workers);

/* Gives each worker its listeners of the service and starts them all. On failure none runs. */
bool workers_start(struct workers *workers, struct failure *failure);

/* Stops all threads and takes their listeners from the workers. */
void workers_stop(struct workers *workers);

/* Has the workers, which must be stopped, drain their clients, for a quarter of a second at
 * most. */
void workers_drain(struct workers *workers);

/* Serves what waits on a listener that is about to be closed, if workers serve it. None may run. */
void workers_drain_listener(const struct workers *workers, const struct listener *listener);

/* Whether all threads have read the last workers_wake, which costs no request anything. */
bool workers_are_awake(const struct workers *workers);
void workers_wake(const struct workers *workers);

/* Sets list to the top clients of all workers. */
void workers_top_clients(const struct workers *workers, struct top_clients_list *list);

/* The number of TCP connections that all workers have room for. */
uint32_t workers_capacity(const struct workers *workers);

#endif
