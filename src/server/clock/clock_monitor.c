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

/* How often to look when nothing happens, and when a leap second may begin or end any moment. */
#define LOOK	  (200 * CLOCK_MILLISECOND)
#define LOOK_LEAP (4 * CLOCK_MILLISECOND)

/* How long before the end of the UTC day that is. */
#define LEAP_NEAR 2 /* seconds */
#define DAY	  86400

/* The clock is read twice to see a step: it may be so inexact. */
#define STEP_COARSE (10 * CLOCK_MILLISECOND)

/* A server that changes its mind with every answer gets so many lines in the log at once, and then
 * one in so long. The last word is always told. */
#define TELL_BURST    6
#define TELL_INTERVAL (10 * CLOCK_SECOND)

#define STACK_SIZE (256 * 1024)

bool watcher_kernel_is_synchronised(void)
{
	struct timex kernel = { 0 };
	struct clock_state state;
	int result = ntp_adjtime(&kernel);

	clock_state_from_kernel(&state, &kernel, result, clock_read_ntp(), clock_monotonic());
	return clock_state_is_synchronised(&state);
}

/* How far the system clock is from the monotonic one. Both are steered alike: it stays the same
 * until the system clock is set. */
static clock_ntp_span distance_of_clocks(void)
{
	return (clock_ntp_span)(clock_read_ntp() - (uint64_t)clock_span_to_ntp(clock_monotonic()));
}

static const char *ask_kernel(struct watcher *watcher, int64_t now, struct clock_state *state)
{
	struct timex kernel = { 0 };
	clock_ntp_time time = clock_read_ntp();

	watcher->kernel = ntp_adjtime(&kernel);
	clock_state_from_kernel(state, &kernel, watcher->kernel, time, now);
	/* The bound of the error grows by itself, and only a correction makes it less. */
	if (kernel.maxerror < watcher->maxerror || watcher->corrected == 0)
		watcher->corrected = time;
	watcher->maxerror = kernel.maxerror;
	if (!clock_state_is_synchronised(state))
		return watcher->kernel == TIME_OOP ? "is inserting a leap second" :
						     "does not vouch for it";
	state->reference_time = watcher->corrected;
	return NULL;
}

/* Whoever is asked, the kernel knows when the clock is telling a second for the second time. */
static const char *ask_source(struct watcher *watcher, int64_t now, struct clock_state *state)
{
	const struct config_clock *source = &watcher->source;
	const char *reason = ask_kernel(watcher, now, state);

	if (watcher->kernel == TIME_OOP || source->source == CLOCK_SOURCE_SYSTEM) {
		watcher->word = WATCHER_KERNEL;
		return reason;
	}
	watcher->word = WATCHER_SOURCE;
	if (source->source == CLOCK_SOURCE_FOLLOW)
		return follow_state(&watcher->follow, state);
	clock_state_local(state, source->stratum, clock_read_ntp(), now);
	return NULL;
}

/* The name of the source, as in "synchronised to" or as what a reason says something of. */
static const char *name_source(const struct watcher *watcher, char *text, size_t size)
{
	const struct config_clock *source = &watcher->source;
	bool bare = strchr(source->host, ':') == NULL;

	if (watcher->word != WATCHER_SOURCE)
		return watcher->word == WATCHER_KERNEL ? "the kernel" : "the clock";
	if (source->source == CLOCK_SOURCE_LOCAL)
		return "itself";
	snprintf(text, size, bare ? "%s:%u" : "[%s]:%u", source->host, source->port);
	return text;
}

/* What there is to say of the clock, and, if that is new, why. */
static void publish(struct watcher *watcher)
{
	char name[sizeof(watcher->source.host) + 16];
	struct stats_reason reason = { "" };

	clock_state_publish(&watcher->stats->clock, &watcher->published);
	if (watcher->reason == watcher->reason_published)
		return;
	if (watcher->reason)
		snprintf(reason.text, sizeof(reason.text), "%s %s",
			 name_source(watcher, name, sizeof(name)), watcher->reason);
	stats_publish_reason(watcher->stats, &reason);
	watcher->reason_published = watcher->reason;
}

/* After a step the word of the source still counts for nothing: it may not know of it yet. */
static void look(struct watcher *watcher, int64_t now)
{
	struct clock_state state;
	const char *reason = ask_source(watcher, now, &state);

	if (now < watcher->still_at)
		return;
	watcher->published = state;
	watcher->reason = reason;
	publish(watcher);
}

static bool may_tell(struct watcher *watcher, int64_t now)
{
	int64_t until = watcher->told_until > now ? watcher->told_until : now;

	if (until + TELL_INTERVAL > now + TELL_BURST * TELL_INTERVAL)
		return false;
	watcher->told_until = until + TELL_INTERVAL;
	return true;
}

static bool is_told(const struct watcher *watcher)
{
	const char *reason = watcher->reason, *told = watcher->told_reason;

	if (reason || told)
		return reason && told && strcmp(reason, told) == 0;
	return watcher->published.stratum == watcher->told.stratum &&
	       watcher->published.leap == watcher->told.leap;
}

/* Tells the log what has changed, but not that the clock counts for nothing after a step: the step
 * itself was told. */
static void tell(struct watcher *watcher, int64_t now)
{
	const struct clock_state *state = &watcher->published;
	char name[sizeof(watcher->source.host) + 16];

	if (now < watcher->still_at || is_told(watcher) || !may_tell(watcher, now))
		return;
	name_source(watcher, name, sizeof(name));
	if (watcher->reason)
		log_write(LOG_NOTICE, "clock: not synchronised: %s %s",
			  name_source(watcher, name, sizeof(name)), watcher->reason);
	else
		log_write(LOG_NOTICE, "clock: synchronised to %s, stratum %u%s",
			  name_source(watcher, name, sizeof(name)), state->stratum,
			  state->leap == CLOCK_LEAP_INSERT ? ", with a leap second to come" :
			  state->leap == CLOCK_LEAP_DELETE ? ", with a second to be left out" :
							     "");
	watcher->told = *state;
	watcher->told_reason = watcher->reason;
}

/* The kernel's own leap second is no surprise, whatever the clock does there. */
static bool is_leap_second(const struct watcher *watcher, int64_t moved)
{
	int64_t magnitude = moved < 0 ? -moved : moved;

	return (watcher->kernel == TIME_INS || watcher->kernel == TIME_DEL ||
		watcher->kernel == TIME_OOP) &&
	       magnitude > CLOCK_SECOND - STEP_COARSE && magnitude < CLOCK_SECOND + STEP_COARSE;
}

/* The clock was set, or the machine was asleep, which the monotonic clock does not count. */
static void take_step(struct watcher *watcher, int64_t now)
{
	clock_ntp_span apart = distance_of_clocks();
	int64_t moved = clock_span_from_ntp(apart - watcher->apart), milliseconds;

	watcher->apart = apart;
	if (is_leap_second(watcher, moved))
		return;
	clock_state_unsynchronised(&watcher->published, CLOCK_REFERENCE_STEP);
	watcher->reason = watcher->told_reason = "was set";
	watcher->word = WATCHER_CLOCK;
	publish(watcher);
	watcher->still_at = now + WATCHER_STILL;
	watcher->corrected = 0;
	if (watcher->source.source == CLOCK_SOURCE_FOLLOW)
		follow_forget(&watcher->follow, now);
	milliseconds = (moved < 0 ? -moved : moved) / CLOCK_MILLISECOND;
	log_limited(&watcher->steps, LOG_WARNING,
		    "clock: was set or resumed, and moved by %c%" PRId64 ".%03" PRId64 " s",
		    moved < 0 ? '-' : '+', milliseconds / 1000, milliseconds % 1000);
}

static bool was_cancelled(int timer)
{
	uint64_t expirations;

	return read(timer, &expirations, sizeof(expirations)) < 0 && errno == ECANCELED;
}

static bool is_leap_near(const struct watcher *watcher)
{
	struct timespec now;

	if (watcher->kernel == TIME_OOP)
		return true;
	if (watcher->kernel != TIME_INS && watcher->kernel != TIME_DEL)
		return false;
	clock_gettime(CLOCK_REALTIME, &now);
	return now.tv_sec % DAY >= DAY - LEAP_NEAR;
}

/* For how many milliseconds to wait, rounded up. */
static int wait_until(const struct watcher *watcher, int64_t now, int64_t due)
{
	int64_t next = now + (is_leap_near(watcher) ? LOOK_LEAP : LOOK);

	if (watcher->still_at > now && watcher->still_at < next)
		next = watcher->still_at;
	if (due < next)
		next = due;
	return next > now ? (int)((next - now + CLOCK_MILLISECOND - 1) / CLOCK_MILLISECOND) : 0;
}

static void *watch(void *argument)
{
	struct watcher *watcher = argument;
	struct follow *follow = &watcher->follow;
	bool follows = watcher->source.source == CLOCK_SOURCE_FOLLOW;
	struct pollfd events[] = {
		{ .fd = watcher->stop, .events = POLLIN },
		{ .fd = watcher->step, .events = POLLIN },
		{ .fd = -1, .events = POLLIN },
	};
	int64_t now, due = INT64_MAX;

	for (;;) {
		now = clock_monotonic();
		if (follows)
			due = follow_tend(follow, now);
		look(watcher, now);
		tell(watcher, now);
		events[2].fd = follow->socket;
		poll(events, 3, wait_until(watcher, now, due));
		now = clock_monotonic();
		if (events[0].revents)
			return NULL;
		if (events[1].revents && was_cancelled(watcher->step))
			take_step(watcher, now);
		if (events[2].revents)
			follow_receive(follow, now);
	}
}

/* Whenever that is, it is not in this timer's life: it is there to be cancelled. */
static bool open_step_timer(struct watcher *watcher)
{
	const struct itimerspec never = { .it_value.tv_sec = INT64_MAX };

	watcher->step = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK | TFD_CLOEXEC);
	return watcher->step >= 0 &&
	       timerfd_settime(watcher->step, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &never,
			       NULL) == 0;
}

/* Returns 0 or what is wrong as an errno. Signals are for the thread that waits for them. */
static int start_thread(struct watcher *watcher)
{
	sigset_t all, before;
	pthread_attr_t attributes;
	int error = pthread_attr_init(&attributes);

	if (error != 0)
		return error;
	sigfillset(&all);
	pthread_attr_setstacksize(&attributes, STACK_SIZE);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	error = pthread_create(&watcher->thread, &attributes, watch, watcher);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attributes);
	return error;
}

static void close_all(struct watcher *watcher)
{
	if (watcher->stop >= 0)
		close(watcher->stop);
	if (watcher->step >= 0)
		close(watcher->step);
	follow_close(&watcher->follow);
}

bool watcher_start(struct watcher *watcher, const struct config_clock *source, struct stats *stats,
		   struct failure *failure)
{
	int64_t now = clock_monotonic();

	*watcher = (struct watcher){ .stats = stats, .source = *source, .stop = -1, .step = -1 };
	follow_open(&watcher->follow, &watcher->source, now);
	/* What is said before a server was asked needs no telling. */
	watcher->told_reason = source->source == CLOCK_SOURCE_FOLLOW ?
				       follow_state(&watcher->follow, &watcher->told) :
				       "";
	watcher->stop = eventfd(0, EFD_CLOEXEC);
	if (watcher->stop < 0 || !open_step_timer(watcher)) {
		failure_set_errno(failure, "cannot watch the clock");
		close_all(watcher);
		return false;
	}
	watcher->apart = distance_of_clocks();
	look(watcher, now);
	errno = start_thread(watcher);
	watcher->running = errno == 0;
	if (watcher->running)
		return true;
	failure_set_errno(failure, "cannot start the clock watcher");
	close_all(watcher);
	return false;
}

void watcher_stop(struct watcher *watcher)
{
	const uint64_t one = 1;

	if (!watcher->running)
		return;
	while (write(watcher->stop, &one, sizeof(one)) < 0 && errno == EINTR)
		continue;
	pthread_join(watcher->thread, NULL);
	watcher->running = false;
	close_all(watcher);
}
