#include "server/request/worker.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/fd.h"
#include "server/process/event.h"
#include "server/request/udp_io.h"

#define EVENTS_MAX 64

/* Batches in a row of one socket, before the others get their turn. */
#define TURN_MAX 16

static bool wait_for(struct worker *worker, int fd, size_t index)
{
	size_t count = worker->wait_count + 1;
	struct pollfd *waits = reallocarray(worker->waits, count, sizeof(*waits));
	size_t *indexes = reallocarray(worker->indexes, count, sizeof(*indexes));

	worker->waits = waits ? waits : worker->waits;
	worker->indexes = indexes ? indexes : worker->indexes;
	if (!waits || !indexes)
		return false;
	waits[count - 1] = (struct pollfd){ .fd = fd, .events = POLLIN };
	indexes[count - 1] = index;
	worker->wait_count = count;
	return true;
}

bool worker_open(struct worker *worker, const struct service *service, unsigned number,
		 uint32_t connections, struct failure *failure)
{
	struct counters *counters = &service->stats->workers[number].counters;

	worker->service = service;
	worker->drain_until = INT64_MAX;
	worker->epoll = epoll_create1(EPOLL_CLOEXEC);
	worker->wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (worker->epoll < 0 || worker->wake < 0 || !wait_for(worker, worker->epoll, 0) ||
	    !event_add_fd(worker->epoll, worker->wake, event_tag(EVENT_WAKE, 0)))
		return failure_set_errno(failure, "cannot wait for events");
	if (!streams_open(&worker->streams, worker->epoll, service, counters, &worker->top_clients,
			  connections))
		return failure_set_errno(failure, "cannot allocate connection slots");
	worker->datagrams = (struct datagrams){ .service = service, .counters = counters };
	worker->datagrams.top_clients = &worker->top_clients;
	return true;
}

void worker_close(struct worker *worker)
{
	streams_close(&worker->streams);
	datagrams_close(&worker->datagrams);
	free(worker->waits);
	free(worker->indexes);
	fd_close(&worker->wake);
	fd_close(&worker->epoll);
}

static const struct listener *listener_at(const struct worker *worker, size_t index)
{
	return &worker->service->listeners.items[index];
}

/* A worker without UDP listeners has no memory for datagrams. */
static bool can_take_datagrams(struct worker *worker)
{
	return worker->datagrams.io || datagrams_open(&worker->datagrams);
}

bool worker_add_listener(struct worker *worker, size_t index)
{
	const struct listener *listener = listener_at(worker, index);

	if (listener->protocol->transport == TRANSPORT_UDP)
		return can_take_datagrams(worker) && wait_for(worker, listener->fd, index);
	return event_add_fd(worker->epoll, listener->fd,
			    event_tag(EVENT_LISTENER, (uint32_t)index));
}

void worker_remove_listeners(struct worker *worker)
{
	const struct listeners *listeners = &worker->service->listeners;

	worker->wait_count = 1;
	for (size_t i = 0; i < listeners->count; i++)
		epoll_ctl(worker->epoll, EPOLL_CTL_DEL, listeners->items[i].fd, NULL);
}

void worker_drain_listener(struct worker *worker, const struct listener *listener)
{
	if (listener->protocol->transport == TRANSPORT_TCP)
		streams_drain_listener(&worker->streams, listener, clock_monotonic());
	else if (can_take_datagrams(worker))
		datagrams_drain_listener(&worker->datagrams, listener);
}

/* Disables the TCP listeners while accepting pauses, or they would wake the worker at once. Returns
 * when the pause ends. */
static int64_t tick_accept_pause(struct worker *worker, int64_t now)
{
	const struct listeners *listeners = &worker->service->listeners;
	bool pause = worker->streams.accept_after > now;

	for (size_t i = 0; pause != worker->paused && i < listeners->count; i++) {
		struct epoll_event event = {
			.events = pause ? 0 : EPOLLIN,
			.data.u64 = event_tag(EVENT_LISTENER, (uint32_t)i),
		};

		/* Fails for listeners of other workers, which this epoll does not have. */
		if (listeners->items[i].protocol->transport == TRANSPORT_TCP)
			epoll_ctl(worker->epoll, EPOLL_CTL_MOD, listeners->items[i].fd, &event);
	}
	worker->paused = pause;
	return pause ? worker->streams.accept_after : INT64_MAX;
}

/* Does what is due by time. Returns the milliseconds to wait, rounded up so as not to spin in the
 * last one; -1 for ever. */
static int tick(struct worker *worker, int64_t now)
{
	int64_t due = streams_tick(&worker->streams, now), pause = tick_accept_pause(worker, now),
		left;

	if (worker->busy_until > now)
		return 0;
	if (pause < due)
		due = pause;
	if (worker->drain_until < due)
		due = worker->drain_until;
	if (due == INT64_MAX)
		return -1;
	left = (due - now) / CLOCK_MILLISECOND + 1;
	return left < 1 ? 1 : left > 60000 ? 60000 : (int)left;
}

static void dispatch(struct worker *worker, uint64_t tag, int64_t now)
{
	size_t index = event_index(tag);

	switch (event_kind(tag)) {
	case EVENT_LISTENER:
		streams_accept(&worker->streams, listener_at(worker, index), now);
		break;
	case EVENT_STREAM:
		streams_readable(&worker->streams, (uint32_t)index);
		break;
	case EVENT_WAKE:
		event_clear(worker->wake);
		break;
	default:
		break;
	}
}

/* Serves a readable UDP socket. While there is more, or busy-poll asks for it, the worker does not
 * sleep afterwards. */
static void serve(struct worker *worker, const struct pollfd *ready, size_t index, int64_t now)
{
	int64_t busy_poll = worker->service->config.busy_poll * (CLOCK_MILLISECOND / 1000);
	bool more = true;

	if (ready->revents & POLLERR)
		udp_io_clear_stamps(ready->fd);
	for (int turn = 0; more && turn < TURN_MAX; turn++) {
		more = datagrams_serve(&worker->datagrams, listener_at(worker, index), now);
		now = clock_monotonic();
	}
	worker->busy_until = now + (more ? CLOCK_MILLISECOND : busy_poll);
}

/* Waits for events and serves them. Returns the time after the wait, on the monotonic clock. */
static int64_t wait_and_serve(struct worker *worker, int timeout)
{
	struct epoll_event events[EVENTS_MAX];
	int64_t now;
	int count = 0;

	poll(worker->waits, worker->wait_count, timeout);
	now = clock_monotonic();
	for (size_t i = 1; i < worker->wait_count; i++) {
		if (worker->waits[i].revents != 0)
			serve(worker, &worker->waits[i], worker->indexes[i], now);
	}
	if (worker->waits[0].revents != 0)
		count = epoll_wait(worker->epoll, events, EVENTS_MAX, 0);
	for (int i = 0; i < count; i++)
		dispatch(worker, events[i].data.u64, now);
	return now;
}

/* The same for a worker without UDP, with one call less. */
static int64_t wait_and_accept(struct worker *worker, int timeout)
{
	struct epoll_event events[EVENTS_MAX];
	int count = epoll_wait(worker->epoll, events, EVENTS_MAX, timeout);
	int64_t now = clock_monotonic();

	for (int i = 0; i < count; i++)
		dispatch(worker, events[i].data.u64, now);
	return now;
}

static bool is_done(const struct worker *worker, int64_t now)
{
	if (atomic_load_explicit(&worker->stop, memory_order_relaxed))
		return true;
	return worker->drain_until <= now ||
	       (worker->drain_until != INT64_MAX && worker->streams.open == 0);
}

static void *run(void *argument)
{
	struct worker *worker = argument;
	int64_t now = clock_monotonic();

	while (!is_done(worker, now)) {
		int timeout = tick(worker, now);

		if (timeout != 0)
			tx_delay_wait(&worker->datagrams.tx_delay);
		now = worker->wait_count > 1 ? wait_and_serve(worker, timeout) :
					       wait_and_accept(worker, timeout);
	}
	return NULL;
}

bool worker_start(struct worker *worker)
{
	sigset_t all, before;

	event_clear(worker->wake);
	atomic_store(&worker->stop, false);
	/* The time zone may have changed: see clock_reload_zone. */
	worker->streams.now.valid = false;
	worker->datagrams.second.valid = false;
	worker->paused = false; /* all listeners were added again */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	errno = pthread_create(&worker->thread, NULL, run, worker);
	worker->running = errno == 0;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return worker->running;
}

void worker_join(struct worker *worker)
{
	if (worker->running)
		pthread_join(worker->thread, NULL);
	worker->running = false;
}

bool worker_is_awake(const struct worker *worker)
{
	return !worker->running || event_is_clear(worker->wake);
}

void worker_wake(const struct worker *worker)
{
	if (worker->running && !event_raise(worker->wake))
		log_write(LOG_ERR, "cannot wake a worker: %m");
}

void worker_stop(struct worker *worker)
{
	atomic_store(&worker->stop, true);
	worker_wake(worker);
	worker_join(worker);
}
