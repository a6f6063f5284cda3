/* The clock monitor: a thread that publishes the clock state.
 *
 * It reads the source that the configuration names: the kernel, nothing, or an NTP server. The
 * kernel wakes it when the clock is set or the machine resumes: the state is unsynchronised from
 * then until the clock has not been set for CLOCK_MONITOR_SETTLE_TIME. */
#ifndef SERVER_CLOCK_MONITOR_H
#define SERVER_CLOCK_MONITOR_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "base/failure.h"
#include "base/log.h"
#include "server/clock/follow.h"
#include "server/config/config.h"
#include "stats/stats.h"

#define CLOCK_MONITOR_SETTLE_TIME (2 * CLOCK_SECOND)

/* What a reason is about. */
enum clock_monitor_subject {
	CLOCK_MONITOR_SUBJECT_SOURCE, /* the configured source */
	CLOCK_MONITOR_SUBJECT_KERNEL,
	CLOCK_MONITOR_SUBJECT_CLOCK, /* the clock itself: it was set */
};

/* Belongs to the thread while it runs. */
struct clock_monitor {
	struct stats *stats;
	struct config_clock source;
	pthread_t thread;
	bool running;
	int wake; /* eventfd(2), written to stop the thread or to see that it runs */
	atomic_bool stop;
	int step_timer;			    /* timerfd(2), cancelled when the clock is set */
	clock_ntp_span offset_to_monotonic; /* of the system clock; only a step changes it */
	int64_t settled_at;		    /* the end of the settle time */
	struct follow follow;

	int kernel;		  /* the last result of adjtimex(2) */
	long maxerror;		  /* and its maxerror */
	clock_ntp_time corrected; /* when maxerror last became less */
	struct clock_state published;
	const char *reason; /* why it is not synchronised; NULL: it is */
	const char *reason_published;
	enum clock_monitor_subject subject; /* of reason */

	struct clock_state logged; /* last */
	const char *logged_reason;
	int64_t logged_until; /* token bucket of the log lines */
	struct log_limit steps;
};

/* Publishes a first state in stats before it returns, and starts the thread. stats must outlive it,
 * and *monitor must not move. */
bool clock_monitor_start(struct clock_monitor *monitor, const struct config_clock *source,
			 struct stats *stats, struct failure *failure);

/* Stops the thread, if it runs. The last state stays published, and its dispersion grows. */
void clock_monitor_stop(struct clock_monitor *monitor);

/* Whether the thread has read the last clock_monitor_wake, or does not run. */
bool clock_monitor_is_awake(const struct clock_monitor *monitor);
void clock_monitor_wake(const struct clock_monitor *monitor);

/* What the kernel says now of its clock. */
enum clock_monitor_kernel {
	CLOCK_MONITOR_KERNEL_SYNCHRONISED,
	CLOCK_MONITOR_KERNEL_UNSYNCHRONISED,
	CLOCK_MONITOR_KERNEL_REFUSES, /* nothing: a container, for example, denies adjtimex(2) */
};

enum clock_monitor_kernel clock_monitor_check_kernel(void);

#endif
