/* The clock watcher: a thread that publishes what is known of the clock.
 *
 * It looks at the source that the configuration names (the kernel, nothing, or an NTP server), and
 * is woken by the kernel when the clock is set or the machine resumes: then the state is "not
 * synchronised" until the clock has held still for WATCHER_STILL. */
#ifndef SERVER_CLOCK_MONITOR_H
#define SERVER_CLOCK_MONITOR_H

#include <pthread.h>
#include <stdbool.h>

#include "base/failure.h"
#include "base/log.h"
#include "server/clock/follow.h"
#include "server/config/config.h"
#include "stats/stats.h"

#define WATCHER_STILL (2 * CLOCK_SECOND)

enum watcher_word {
	WATCHER_SOURCE,
	WATCHER_KERNEL,
	WATCHER_CLOCK, /* itself: it was set */
};

/* Everything from here on is the thread's own while it runs. */
struct watcher {
	struct stats *stats;
	struct config_clock source;
	pthread_t thread;
	bool running;
	int stop;	      /* eventfd(2), written to end the thread */
	int step;	      /* timerfd(2), cancelled when the clock is set */
	clock_ntp_span apart; /* the system clock from the monotonic one: only a step changes it */
	int64_t still_at;     /* when the clock will have held still for long enough */
	struct follow follow;

	int kernel;		      /* what ntp_adjtime(3) returned last */
	long maxerror;		      /* and said */
	clock_ntp_time corrected;     /* when that last became less */
	struct clock_state published; /* last */
	const char *reason;	      /* why that is not synchronised; NULL: it is */
	const char *reason_published;
	enum watcher_word word; /* who says so */

	struct clock_state told; /* what the log was told last */
	const char *told_reason;
	int64_t told_until; /* the log has heard so much as to last until then */
	struct log_limit steps;
};

/* Publishes a first state, and the reason for it, in stats before it returns, and starts the
 * thread, which has all signals blocked. stats must outlive it, and *watcher stay where it is. */
bool watcher_start(struct watcher *watcher, const struct config_clock *source, struct stats *stats,
		   struct failure *failure);

/* Ends the thread; nothing happens if it was not started. What was published last stays, and grows
 * old. */
void watcher_stop(struct watcher *watcher);

/* Whether the kernel says at this moment that its clock is synchronised. */
bool watcher_kernel_is_synchronised(void);

#endif
