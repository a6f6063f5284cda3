#include "server/clock/clock_monitor.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/fd.h"
#include "server/process/event.h"

/* How often the source is read: usually, and around a leap second. */
#define POLL_INTERVAL	   (200 * CLOCK_MILLISECOND)
#define POLL_INTERVAL_LEAP (4 * CLOCK_MILLISECOND)

/* A leap second is near in the last seconds of a UTC day. */
#define LEAP_NEAR 2 /* seconds */

/* The error of a measured step. */
#define STEP_TOLERANCE (10 * CLOCK_MILLISECOND)

/* A state that changes all the time gets this many log lines at once, then one an interval. The
 * latest state is always logged in the end. */
#define LOG_BURST    6
#define LOG_INTERVAL (10 * CLOCK_SECOND)

#define STACK_SIZE (256 * 1024)

/* The reason if the kernel, or a filter of system calls such as a container's, refuses adjtimex. */
#define REFUSED "refuses adjtimex, which tells whether its clock is synchronised"

static const char *describe_refusal(int error)
{
	return error == EPERM  ? REFUSED " (Operation not permitted)" :
	       error == ENOSYS ? REFUSED " (Function not implemented)" :
				 REFUSED;
}

/* Reads the kernel clock; returns what adjtimex(3) does, and sets reason to why it is not
 * synchronised, in words that follow "the kernel", or to NULL. */
static int read_kernel_clock(struct timex *kernel, clock_ntp_time time, int64_t now,
			     struct clock_state *state, const char **reason)
{
	int result = adjtimex(kernel);

	*reason = result < 0 ? describe_refusal(errno) : NULL;
	clock_state_from_kernel(state, kernel, result, time, now);
	if (result >= 0 && !clock_state_is_synchronised(state))
		*reason = result == TIME_OOP ? "is inserting a leap second" :
					       "says that the clock is not synchronised";
	return result;
}

enum clock_monitor_kernel clock_monitor_check_kernel(void)
{
	struct timex kernel = { 0 };
	struct clock_state state;
	const char *reason;

	if (read_kernel_clock(&kernel, clock_read_ntp(), clock_monotonic(), &state, &reason) < 0)
		return CLOCK_MONITOR_KERNEL_REFUSES;
	return reason ? CLOCK_MONITOR_KERNEL_UNSYNCHRONISED : CLOCK_MONITOR_KERNEL_SYNCHRONISED;
}

/* The offset of the system clock from the monotonic clock. Both are steered alike, so only a step
 * changes it. */
static clock_ntp_span offset_of_clocks(void)
{
	return (clock_ntp_span)(clock_read_ntp() - (uint64_t)clock_span_to_ntp(clock_monotonic()));
}

static const char *read_kernel(struct clock_monitor *monitor, int64_t now,
			       struct clock_state *state)
{
	struct timex kernel = { 0 };
	clock_ntp_time time = clock_read_ntp();
	const char *reason;

	monitor->kernel = read_kernel_clock(&kernel, time, now, state, &reason);
	/* The kernel lets maxerror grow; only a correction makes it less. */
	if (kernel.maxerror < monitor->maxerror || monitor->corrected == 0)
		monitor->corrected = time;
	monitor->maxerror = (long)kernel.maxerror;
	if (!reason)
		state->reference_time = monitor->corrected;
	return reason;
}

/* A server on this host disciplines the system clock. With a server elsewhere nothing may do that,
 * if the kernel does not say so: then the clock can drift as far as the kernel lets it. */
static const char *read_followed(const struct clock_monitor *monitor, bool may_drift, int64_t now,
				 struct clock_state *state)
{
	const char *reason = follow_state(&monitor->follow, state);

	clock_state_end_leap(state, clock_realtime(), now);
	if (!reason && may_drift && !monitor->follow.same_host)
		state->drift_ppm = CLOCK_KERNEL_PPM;
	return reason;
}

/* The kernel is read in any case: it knows when a leap second is being inserted. */
static const char *read_source(struct clock_monitor *monitor, int64_t now,
			       struct clock_state *state)
{
	const struct config_clock *source = &monitor->source;
	const char *reason = read_kernel(monitor, now, state);

	if (monitor->kernel == TIME_OOP || source->source == CLOCK_SOURCE_SYSTEM) {
		monitor->subject = CLOCK_MONITOR_SUBJECT_KERNEL;
		return reason;
	}
	monitor->subject = CLOCK_MONITOR_SUBJECT_SOURCE;
	if (source->source == CLOCK_SOURCE_FOLLOW)
		return read_followed(monitor, reason != NULL, now, state);
	clock_state_local(state, source->stratum, clock_read_ntp(), now);
	return NULL;
}

/* The subject of "synchronised to SUBJECT" and "SUBJECT REASON". */
static const char *name_subject(const struct clock_monitor *monitor, char *text, size_t size)
{
	const struct config_clock *source = &monitor->source;

	if (monitor->subject != CLOCK_MONITOR_SUBJECT_SOURCE)
		return monitor->subject == CLOCK_MONITOR_SUBJECT_KERNEL ? "the kernel" :
									  "the clock";
	if (source->source == CLOCK_SOURCE_LOCAL)
		return "itself";
	return address_join(text, size, source->host, source->port);
}

/* Publishes the state and, if it has changed, the reason. */
static void publish(struct clock_monitor *monitor)
{
	char name[sizeof(monitor->source.host) + 16];
	struct stats_reason reason = { "" };

	clock_state_publish(&monitor->stats->clock, &monitor->published);
	if (monitor->reason == monitor->reason_published)
		return;
	if (monitor->reason)
		snprintf(reason.text, sizeof(reason.text), "%s %s",
			 name_subject(monitor, name, sizeof(name)), monitor->reason);
	stats_publish_reason(monitor->stats, &reason);
	monitor->reason_published = monitor->reason;
}

/* Publishes what the source says, except for a while after a step, of which it may not know yet. */
static void update(struct clock_monitor *monitor, int64_t now)
{
	struct clock_state state;
	const char *reason = read_source(monitor, now, &state);

	if (now < monitor->settled_at)
		return;
	monitor->published = state;
	monitor->reason = reason;
	publish(monitor);
}

static bool may_log(struct clock_monitor *monitor, int64_t now)
{
	int64_t until = monitor->logged_until > now ? monitor->logged_until : now;

	if (until + LOG_INTERVAL > now + LOG_BURST * LOG_INTERVAL)
		return false;
	monitor->logged_until = until + LOG_INTERVAL;
	return true;
}

static bool is_logged(const struct clock_monitor *monitor)
{
	const char *reason = monitor->reason, *logged = monitor->logged_reason;

	if (reason || logged)
		return reason && logged && strcmp(reason, logged) == 0;
	return monitor->published.stratum == monitor->logged.stratum &&
	       monitor->published.leap == monitor->logged.leap;
}

/* Logs a change of state, except during the settle time after a step, which was logged itself. */
static void log_change(struct clock_monitor *monitor, int64_t now)
{
	const struct clock_state *state = &monitor->published;
	char name[sizeof(monitor->source.host) + 16];

	if (now < monitor->settled_at || is_logged(monitor) || !may_log(monitor, now))
		return;
	if (monitor->reason)
		log_write(LOG_NOTICE, "clock: not synchronised: %s %s",
			  name_subject(monitor, name, sizeof(name)), monitor->reason);
	else
		log_write(LOG_NOTICE, "clock: synchronised to %s, stratum %u%s",
			  name_subject(monitor, name, sizeof(name)), state->stratum,
			  state->leap == CLOCK_LEAP_INSERT ? ", a leap second will be inserted" :
			  state->leap == CLOCK_LEAP_DELETE ? ", a leap second will be deleted" :
							     "");
	monitor->logged = *state;
	monitor->logged_reason = monitor->reason;
}

/* Whether the clock moved by the leap second that the kernel has announced. */
static bool is_leap_second(const struct clock_monitor *monitor, int64_t moved)
{
	int64_t magnitude = moved < 0 ? -moved : moved;

	return (monitor->kernel == TIME_INS || monitor->kernel == TIME_DEL ||
		monitor->kernel == TIME_OOP) &&
	       magnitude > CLOCK_SECOND - STEP_TOLERANCE &&
	       magnitude < CLOCK_SECOND + STEP_TOLERANCE;
}

/* The clock was set, or the machine was suspended, which the monotonic clock does not count. */
static void handle_step(struct clock_monitor *monitor, int64_t now)
{
	clock_ntp_span offset = offset_of_clocks();
	int64_t moved = clock_span_from_ntp(offset - monitor->offset_to_monotonic), milliseconds;

	monitor->offset_to_monotonic = offset;
	if (is_leap_second(monitor, moved))
		return;
	clock_state_unsynchronised(&monitor->published, CLOCK_REFERENCE_STEP);
	monitor->reason = monitor->logged_reason = "was set";
	monitor->subject = CLOCK_MONITOR_SUBJECT_CLOCK;
	publish(monitor);
	monitor->settled_at = now + CLOCK_MONITOR_SETTLE_TIME;
	monitor->corrected = 0;
	if (monitor->source.source == CLOCK_SOURCE_FOLLOW)
		follow_forget(&monitor->follow, now);
	milliseconds = (moved < 0 ? -moved : moved) / CLOCK_MILLISECOND;
	log_limited(&monitor->steps, LOG_WARNING,
		    "clock: stepped by %c%" PRId64 ".%03" PRId64 " s (set, or resumed)",
		    moved < 0 ? '-' : '+', milliseconds / 1000, milliseconds % 1000);
}

static bool was_cancelled(int timer)
{
	uint64_t expirations;

	return read(timer, &expirations, sizeof(expirations)) < 0 && errno == ECANCELED;
}

static bool is_leap_near(const struct clock_monitor *monitor)
{
	struct timespec now;

	if (monitor->kernel == TIME_OOP)
		return true;
	if (monitor->kernel != TIME_INS && monitor->kernel != TIME_DEL)
		return false;
	clock_gettime(CLOCK_REALTIME, &now);
	return now.tv_sec % CLOCK_DAY >= CLOCK_DAY - LEAP_NEAR;
}

/* The milliseconds to wait, rounded up. */
static int milliseconds_until(const struct clock_monitor *monitor, int64_t now, int64_t due)
{
	int64_t next = now + (is_leap_near(monitor) ? POLL_INTERVAL_LEAP : POLL_INTERVAL);

	if (monitor->settled_at > now && monitor->settled_at < next)
		next = monitor->settled_at;
	if (due < next)
		next = due;
	return next > now ? (int)((next - now + CLOCK_MILLISECOND - 1) / CLOCK_MILLISECOND) : 0;
}

static void *run(void *argument)
{
	struct clock_monitor *monitor = argument;
	struct follow *follow = &monitor->follow;
	bool follows = monitor->source.source == CLOCK_SOURCE_FOLLOW;
	struct pollfd events[] = {
		{ .fd = monitor->wake, .events = POLLIN },
		{ .fd = monitor->step_timer, .events = POLLIN },
		{ .fd = -1, .events = POLLIN },
	};
	int64_t now, due = INT64_MAX;

	for (;;) {
		now = clock_monotonic();
		if (follows)
			due = follow_tick(follow, now);
		update(monitor, now);
		log_change(monitor, now);
		events[2].fd = follow->socket;
		poll(events, 3, milliseconds_until(monitor, now, due));
		now = clock_monotonic();
		if (events[0].revents)
			event_clear(monitor->wake);
		if (atomic_load(&monitor->stop))
			return NULL;
		if (events[1].revents && was_cancelled(monitor->step_timer))
			handle_step(monitor, now);
		if (events[2].revents)
			follow_receive(follow, now);
	}
}

static bool set_step_timer(int timer, time_t expiry)
{
	const struct itimerspec times = { .it_value.tv_sec = expiry };

	return timerfd_settime(timer, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &times, NULL) ==
	       0;
}

/* A timer that never expires: the kernel cancels it when the clock is set. With 32 bits, a kernel
 * before Linux 5.1 has no later time than 2038. */
static bool open_step_timer(struct clock_monitor *monitor)
{
	monitor->step_timer = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK | TFD_CLOEXEC);
	return monitor->step_timer >= 0 &&
	       (set_step_timer(monitor->step_timer, INT64_MAX) ||
		(errno == EOVERFLOW && set_step_timer(monitor->step_timer, INT32_MAX)));
}

/* Returns 0 or an errno. All signals are blocked: the main thread takes them. */
static int start_thread(struct clock_monitor *monitor)
{
	sigset_t all, before;
	pthread_attr_t attributes;
	int error = pthread_attr_init(&attributes);

	if (error != 0)
		return error;
	sigfillset(&all);
	pthread_attr_setstacksize(&attributes, STACK_SIZE);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	error = pthread_create(&monitor->thread, &attributes, run, monitor);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attributes);
	return error;
}

static void close_all(struct clock_monitor *monitor)
{
	fd_close(&monitor->wake);
	fd_close(&monitor->step_timer);
	follow_close(&monitor->follow);
}

bool clock_monitor_start(struct clock_monitor *monitor, const struct config_clock *source,
			 struct stats *stats, struct failure *failure)
{
	int64_t now = clock_monotonic();

	*monitor = (struct clock_monitor){
		.stats = stats, .source = *source, .wake = -1, .step_timer = -1
	};
	follow_open(&monitor->follow, &monitor->source, now);
	/* Logs the first state, unless it only says that no reply has come yet. "": nothing was
	 * logged. */
	monitor->logged_reason = source->source == CLOCK_SOURCE_FOLLOW ?
					 follow_state(&monitor->follow, &monitor->logged) :
					 "";
	monitor->wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (monitor->wake < 0 || !open_step_timer(monitor)) {
		failure_set_errno(failure, "cannot start the clock monitor");
		close_all(monitor);
		return false;
	}
	monitor->offset_to_monotonic = offset_of_clocks();
	update(monitor, now);
	errno = start_thread(monitor);
	monitor->running = errno == 0;
	if (monitor->running)
		return true;
	failure_set_errno(failure, "cannot start the clock monitor");
	close_all(monitor);
	return false;
}

bool clock_monitor_is_awake(const struct clock_monitor *monitor)
{
	return !monitor->running || event_is_clear(monitor->wake);
}

void clock_monitor_wake(const struct clock_monitor *monitor)
{
	if (monitor->running)
		event_raise(monitor->wake);
}

void clock_monitor_stop(struct clock_monitor *monitor)
{
	if (!monitor->running)
		return;
	atomic_store(&monitor->stop, true);
	event_raise(monitor->wake);
	pthread_join(monitor->thread, NULL);
	monitor->running = false;
	close_all(monitor);
}
