/* The clock watcher: a thread that publishes what is known of the clock.
 *
 * It looks at the source that the configuration names (the kernel, nothing, or an NTP server), and
 * is woken by the kernel when the clock is set or the machine resumes: then the state is "not
 * synchronised" until the clock has held still for WATCHER_STILL. */
#ifndef SERVER_WATCHER_H
#define SERVER_WATCHER_H

#include <pthread.h>
#include <stdbool.h>

#include "clock/state.h"
#include "server/config.h"
#include "server/failure.h"

#define WATCHER_STILL (2 * CLOCK_SECOND)

struct watcher {
	struct clock_board *board;
	struct config_clock source;
	pthread_t thread;
	bool running;
	int stop; /* eventfd(2), written to end the thread */
};

/* Publishes a first state before it returns, and starts the thread, which has all signals blocked.
 * board must outlive it. */
bool watcher_start(struct watcher *watcher, const struct config_clock *source,
		   struct clock_board *board, struct failure *failure);

/* Ends the thread; nothing happens if it was not started. */
void watcher_stop(struct watcher *watcher);

/* Whether the kernel says at this moment that its clock is synchronised. */
bool watcher_kernel_is_synchronised(void);

#endif
