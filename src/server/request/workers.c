#include "server/request/workers.h"

#include <sched.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "server/process/event.h"

/* How long the last clients have to take their replies. */
#define DRAIN_TIME (CLOCK_SECOND / 4)

#define CAPACITY_MAX	  16384U
#define CAPACITY_MIN	  8U
#define OTHER_DESCRIPTORS 32U /* listeners, log, signals and the like */
#define CACHE_LINE	  64

unsigned workers_wanted(const struct config *config)
{
	cpu_set_t allowed;
	int cores = 1;

	if (config->workers > 0)
		return config->workers;
	if (sched_getaffinity(0, sizeof(allowed), &allowed) == 0)
		cores = CPU_COUNT(&allowed);
	return cores < WORKERS_MAX ? (unsigned)cores : WORKERS_MAX;
}

/* Raises the soft descriptor limit as far as it is of use. Returns the connections that fit. */
static uint32_t capacity_within_limit(uint32_t others)
{
	struct rlimit limit;
	rlim_t wanted = CAPACITY_MAX + others;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return CAPACITY_MIN;
	if (limit.rlim_cur < wanted && limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max < wanted ? limit.rlim_max : wanted;
		if (setrlimit(RLIMIT_NOFILE, &limit) < 0 && getrlimit(RLIMIT_NOFILE, &limit) < 0)
			return CAPACITY_MIN;
	}
	if (limit.rlim_cur >= wanted)
		return CAPACITY_MAX;
	if (limit.rlim_cur < CAPACITY_MIN + others)
		return CAPACITY_MIN;
	return (uint32_t)limit.rlim_cur - others;
}

static uint32_t capacity_per_worker(const struct service *service, unsigned count)
{
	uint32_t others = OTHER_DESCRIPTORS + (uint32_t)service->listeners.count + 3 * (count - 1);
	uint32_t share = capacity_within_limit(others) / count;

	return share < CAPACITY_MIN ? CAPACITY_MIN : share;
}

/* On cache lines of its own, so that no worker slows down another by its writes. */
static struct worker *allocate_worker(void)
{
	size_t size = (sizeof(struct worker) + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE;
	struct worker *worker = aligned_alloc(CACHE_LINE, size);

	if (worker)
		*worker = (struct worker){ .epoll = -1, .wake = -1, .streams.reserve = -1 };
	return worker;
}

static void close_worker(struct worker *worker)
{
	worker_close(worker);
	free(worker);
}

static bool add_worker(struct workers *workers, uint32_t connections, struct failure *failure)
{
	atomic_uint *used = &workers->service->stats->worker_count;
	struct worker *worker = allocate_worker();
	unsigned number = workers->count;

	if (!worker)
		return failure_set_errno(failure, "cannot make a worker");
	if (!worker_open(worker, workers->service, number, connections, failure)) {
		worker_close(worker);
		free(worker);
		return false;
	}
	workers->items[workers->count++] = worker;
	if (atomic_load(used) < workers->count)
		atomic_store(used, workers->count);
	return true;
}

static void retire(struct workers *workers, struct worker *worker)
{
	if (worker->streams.open == 0) {
		close_worker(worker);
		return;
	}
	worker->drain_until = clock_monotonic() + DRAIN_TIME; /* its thread ends by itself */
	worker->next = workers->retired;
	workers->retired = worker;
	worker_start(worker);
}

void workers_join_retired(struct workers *workers)
{
	struct worker *worker;

	while ((worker = workers->retired) != NULL) {
		workers->retired = worker->next;
		worker_join(worker);
		close_worker(worker);
	}
}

bool workers_resize(struct workers *workers, unsigned count, struct failure *failure)
{
	uint32_t connections = capacity_per_worker(workers->service, count);
	struct worker **grown;

	while (workers->count > count)
		retire(workers, workers->items[--workers->count]);
	grown = reallocarray(workers->items, count, sizeof(struct worker *));
	if (!grown)
		return failure_set_errno(failure, "cannot make %u workers", count);
	workers->items = grown;
	while (workers->count < count) {
		if (!add_worker(workers, connections, failure))
			return false;
	}
	log_write(LOG_DEBUG, "%u workers with room for %u connections each", count, connections);
	return true;
}

void workers_close(struct workers *workers)
{
	workers_join_retired(workers);
	while (workers->count > 0)
		close_worker(workers->items[--workers->count]);
	free(workers->items);
	workers->items = NULL;
}

/* The worker that serves a listener. */
static struct worker *find_worker(const struct workers *workers, const struct listener *listener)
{
	return workers->items[listener->shard % workers->count];
}

static bool add_listeners(struct workers *workers)
{
	const struct listeners *listeners = &workers->service->listeners;

	for (size_t i = 0; i < listeners->count; i++) {
		const struct listener *listener = &listeners->items[i];

		if (listener->protocol->reply &&
		    !worker_add_listener(find_worker(workers, listener), i))
			return false;
	}
	return true;
}

bool workers_start(struct workers *workers, struct failure *failure)
{
	bool started = add_listeners(workers);

	for (unsigned i = 0; started && i < workers->count; i++)
		started = worker_start(workers->items[i]);
	if (started)
		return true;
	failure_set_errno(failure, "cannot start %u workers", workers->count);
	workers_stop(workers);
	return false;
}

void workers_stop(struct workers *workers)
{
	for (unsigned i = 0; i < workers->count; i++)
		worker_stop(workers->items[i]);
	for (unsigned i = 0; i < workers->count; i++)
		worker_remove_listeners(workers->items[i]);
}

void workers_drain(struct workers *workers)
{
	int64_t until = clock_monotonic() + DRAIN_TIME;

	for (unsigned i = 0; i < workers->count; i++) {
		workers->items[i]->drain_until = until;
		worker_start(workers->items[i]);
	}
	for (unsigned i = 0; i < workers->count; i++)
		worker_join(workers->items[i]);
}

void workers_drain_listener(const struct workers *workers, const struct listener *listener)
{
	if (listener->protocol->reply)
		worker_drain_listener(find_worker(workers, listener), listener);
}

bool workers_are_awake(const struct workers *workers)
{
	for (unsigned i = 0; i < workers->count; i++) {
		if (!worker_is_awake(workers->items[i]))
			return false;
	}
	return true;
}

void workers_wake(const struct workers *workers)
{
	for (unsigned i = 0; i < workers->count; i++)
		worker_wake(workers->items[i]);
}

void workers_top_clients(const struct workers *workers, struct top_clients_list *list)
{
	int64_t now = clock_monotonic();

	*list = (struct top_clients_list){ 0 };
	for (unsigned i = 0; i < workers->count; i++)
		top_clients_list_add(list, &workers->items[i]->top_clients, now);
}

uint32_t workers_capacity(const struct workers *workers)
{
	uint32_t capacity = 0;

	for (unsigned i = 0; i < workers->count; i++)
		capacity += workers->items[i]->streams.capacity;
	return capacity;
}
