#include "server/server.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/log.h"
#include "server/events.h"
#include "server/reload.h"

#define EVENTS_MAX 64

/* How long the last clients have to take their answers when the daemon stops. */
#define FAREWELL (CLOCK_SECOND / 4)

static bool open_signals(struct server *server, struct failure *failure)
{
	sigset_t handled;

	sigemptyset(&handled);
	sigaddset(&handled, SIGTERM);
	sigaddset(&handled, SIGINT);
	sigaddset(&handled, SIGHUP);
	sigprocmask(SIG_BLOCK, &handled, NULL);
	signal(SIGHUP, SIG_DFL);
	signal(SIGPIPE, SIG_IGN);
	server->signals = signalfd(-1, &handled, SFD_NONBLOCK | SFD_CLOEXEC);
	server->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (server->signals < 0 || server->epoll < 0 ||
	    !event_watch(server->epoll, EPOLL_CTL_ADD, server->signals, event_tag(EVENT_SIGNAL, 0)))
		return failure_set_errno(failure, "cannot wait for events");
	return true;
}

static bool open_sockets(struct server *server, struct failure *failure)
{
	struct listeners inherited;
	bool opened;

	opened = listeners_inherit(&inherited, &server->notify, failure) &&
		 listeners_open(&server->listeners, &server->config, &inherited, false, failure);
	if (!opened)
		return false;
	listeners_close_unless(&inherited, &server->listeners);
	if (!listeners_watch(server, &server->listeners, NULL) ||
	    !event_watch(server->epoll, EPOLL_CTL_ADD, server->control.fd,
			 event_tag(EVENT_CONTROL, CONTROL_PEERS)))
		return failure_set_errno(failure, "cannot wait for connections");
	return true;
}

/* What was opened as root goes to the user who is to reload, exchange and remove it. */
static bool become_user(struct server *server, struct failure *failure)
{
	const struct user *user = &server->config.user;

	if (user->name[0] != '\0' && geteuid() == 0) {
		pidfile_give_to(&server->pidfile, user->uid, user->gid);
		control_give_to(&server->control, user->uid, user->gid);
		listeners_give_to(&server->listeners, user->uid, user->gid);
	}
	return user_become(user, failure);
}

bool server_start(struct server *server, const struct config_source *source, struct config *config,
		  const struct notify *notify, struct failure *failure)
{
	*server = (struct server){
		.source = source,
		.config = *config,
		.notify = *notify,
		.pidfile.fd = -1,
		.streams.reserve = -1,
		.epoll = -1,
		.signals = -1,
		.started = clock_monotonic(),
		.stop_by = INT64_MAX,
	};
	*config = (struct config){ 0 };
	control_clear(&server->control);
	if (source->file)
		log_write(LOG_DEBUG, "configured by %s", source->file);
	if (open_signals(server, failure) &&
	    pidfile_take(&server->pidfile, server->config.pidfile, failure) &&
	    control_open(&server->control, server->config.pidfile, failure) &&
	    open_sockets(server, failure) &&
	    streams_open(&server->streams, server->epoll, failure) && become_user(server, failure))
		return true;
	server_stop(server);
	return false;
}

void server_stop(struct server *server)
{
	listeners_close_unless(&server->listeners, NULL);
	streams_close(&server->streams);
	control_close(&server->control);
	if (server->signals >= 0)
		close(server->signals);
	if (server->epoll >= 0)
		close(server->epoll);
	if (server->notify.socket >= 0)
		close(server->notify.socket);
	config_free(&server->config);
	log_close();
	pidfile_release(&server->pidfile); /* last: whoever waits for it may start at once */
}

/* Clients that the kernel has already accepted are answered before the door closes. */
static void begin_to_stop(struct server *server, int64_t now)
{
	notify_send(&server->notify, "STOPPING=1\nSTATUS=stopping");
	for (size_t i = 0; i < server->listeners.count; i++)
		streams_accept_last(&server->streams, &server->listeners.items[i], now);
	listeners_close_unless(&server->listeners, NULL);
	server->stop_by = now + FAREWELL;
}

static void take_signals(struct server *server, int64_t now)
{
	struct signalfd_siginfo signal;

	while (read(server->signals, &signal, sizeof(signal)) == sizeof(signal)) {
		if (signal.ssi_signo == SIGHUP) {
			server->reload_wanted = true;
		} else if (server->stop_by == INT64_MAX) {
			log_write(LOG_NOTICE, "stopping on %s from process %u of user %u",
				  signal.ssi_signo == SIGTERM ? "SIGTERM" : "SIGINT",
				  signal.ssi_pid, signal.ssi_uid);
			begin_to_stop(server, now);
		}
	}
}

static void dispatch(struct server *server, uint64_t tag, int64_t now)
{
	uint32_t index = event_index(tag);

	switch (event_kind(tag)) {
	case EVENT_LISTENER:
		if (index < server->listeners.count)
			streams_accept(&server->streams, &server->listeners.items[index], now);
		break;
	case EVENT_STREAM:
		streams_ready(&server->streams, index);
		break;
	case EVENT_SIGNAL:
		take_signals(server, now);
		break;
	case EVENT_CONTROL:
		server_answer_control(server, index);
		break;
	}
}

/* While the system is short of something the listeners are left alone, or they would wake us at
 * once. */
static int64_t tend_pause(struct server *server, int64_t now)
{
	bool pause = server->streams.paused_until > now;

	if (pause != server->paused) {
		listeners_pause(server, pause);
		server->paused = pause;
	}
	return pause ? server->streams.paused_until : INT64_MAX;
}

static int64_t tend_watchdog(struct server *server, int64_t now)
{
	if (server->notify.watchdog == 0)
		return INT64_MAX;
	if (server->next_life_sign <= now) {
		notify_send(&server->notify, "WATCHDOG=1");
		server->next_life_sign = now + server->notify.watchdog;
	}
	return server->next_life_sign;
}

static int64_t earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* Everything that is due by time and not by event. Returns for how many milliseconds to wait; -1
 * for ever. Rounded up, or the last part of a millisecond would be spent spinning. */
static int tend(struct server *server, int64_t now)
{
	int64_t due = streams_tick(&server->streams, now), left;

	due = earlier(due, tend_pause(server, now));
	due = earlier(due, tend_watchdog(server, now));
	due = earlier(due, server->stop_by);
	if (due == INT64_MAX)
		return -1;
	left = (due - now) / CLOCK_MILLISECOND + 1;
	return left < 1 ? 1 : (int)earlier(left, 60000);
}

static bool is_done(const struct server *server, int64_t now)
{
	return server->stop_by <= now ||
	       (server->stop_by != INT64_MAX && server->streams.open == 0);
}

void server_run(struct server *server)
{
	struct epoll_event events[EVENTS_MAX];
	int64_t now = clock_monotonic();
	int count;

	while (!is_done(server, now)) {
		count = epoll_wait(server->epoll, events, EVENTS_MAX, tend(server, now));
		now = clock_monotonic();
		for (int i = 0; i < count; i++)
			dispatch(server, events[i].data.u64, now);
		/* Now that no event of the batch is of the old sockets. */
		if (server->reload_wanted)
			server_reload_on_signal(server);
	}
	log_write(LOG_NOTICE, "stopped after %llu answers",
		  (unsigned long long)server->streams.answers);
}
