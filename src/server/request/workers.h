/* All workers together, and the sockets shared out among them. */
#ifndef SERVER_WORKERS_H
#define SERVER_WORKERS_H

#include <stdbool.h>

#include "server/request/worker.h"

#define WORKERS_MAX STATS_WORKERS

struct workers {
	struct service *service;
	struct worker **items;
	unsigned count;
	struct worker *retired; /* the first of those that only see off the clients they have */
};

/* How many workers a configuration asks for, on this machine: 1 to WORKERS_MAX. */
unsigned workers_wanted(const struct config *config);

/* Makes as many workers as there shall be, for a service that outlives them. None may run. Those
 * that are too many retire: they see off their clients, beside the others. If some cannot be made,
 * the others stay. */
bool workers_resize(struct workers *workers, unsigned count, struct failure *failure);

/* Waits, for a moment at most, for those that have retired, and closes them. */
void workers_join_retired(struct workers *workers);

void workers_close(struct workers *workers);

/* Has each worker watch its sockets of the service, and starts them all. On failure none runs. */
bool workers_start(struct workers *workers, struct failure *failure);

/* Ends all threads; afterwards no worker watches a listener. */
void workers_stop(struct workers *workers);

/* The worker that a listener is for. */
struct worker *workers_find(const struct workers *workers, const struct listener *listener);

/* Lets the workers from number first on, which must be stopped, see off the clients they have, for
 * a moment. */
void workers_drain(struct workers *workers, unsigned first);

/* Answers what waits at a listener that is about to be closed, if it is the workers'. None may
 * run. */
void workers_drain_listener(const struct workers *workers, const struct listener *listener);

/* Who asks all of them the most. */
void workers_top_clients(const struct workers *workers, struct top_clients_list *list);

/* How many connections there may be at a time. */
uint32_t workers_capacity(const struct workers *workers);

#endif
