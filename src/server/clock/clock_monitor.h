/* The clock monitor: a thread that publishes what is known of the clock.
 *
 * It looks at the source that the configuration names (the kernel, nothing, or an NTP server), and
 * is woken by the kernel when the clock is set or the machine resumes: then the state is "not
 * synchronised" until the clock has held still for CLOCK_MONITOR_SETTLE_TIME. */
#ifndef SERVER_CLOCK_MONITOR_H
#define SERVER_CLOCK_MONITOR_H

#include <pthread.h>
#include <stdbool.h>

#include "base/failure.h"
#include "base/log.h"
#include "server/clock/follow.h"
#include "server/config/config.h"
#include "stats/stats.h"

#define CLOCK_MONITOR_SETTLE_TIME (2 * CLOCK_SECOND)

enum clock_monitor_source {
	CLOCK_MONITOR_SOURCE,
	CLOCK_MONITOR_KERNEL,
	CLOCK_MONITOR_CLOCK, /* itself: it was set */
};

/* Everything from here on is the thread's own while it runs. */
struct clock_monitor {
	struct stats *stats;
	struct config_clock source;
	pthread_t thread;
	bool running;
	int stop;	/* eventfd(2), written to end the thread */
	int step_timer; /* timerfd(2), cancelled when the clock is set */
	clock_ntp_span
		offset_to_monotonic; /* the system clock from the monotonic one: only a step changes it */
	int64_t settled_at;	     /* when the clock will have held still for long enough */
	struct follow follow;

	int kernel;		      /* what ntp_adjtime(3) returned last */
	long maxerror;		      /* and said */
	clock_ntp_time corrected;     /* when that last became less */
	struct clock_state published; /* last */
	const char *reason;	      /* why that is not synchronised; NULL: it is */
	const char *reason_published;
	enum clock_monitor_source source_kind; /* who says so */

	struct clock_state logged; /* what the log was told last */
	const char *logged_reason;
	int64_t logged_until; /* the log has heard so much as to last until then */
	struct log_limit steps;
};

/* Publishes a first state, and the reason for it, in stats before it returns, and starts the
 * thread, which has all signals blocked. stats must outlive it, and *monitor stay where it is. */
bool clock_monitor_start(struct clock_monitor *monitor, const struct config_clock *source,
			 struct stats *stats, struct failure *failure);

/* Ends the thread; nothing happens if it was not started. What was published last stays, and grows
 * old. */
void clock_monitor_stop(struct clock_monitor *monitor);

/* Whether the kernel says at this moment that its clock is synchronised. */
bool clock_monitor_kernel_is_synchronised(void);

#endif
