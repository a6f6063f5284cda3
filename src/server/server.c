#include "server/server.h"

#include <libgen.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "server/control/control_client.h"
#include "server/control/control_message.h"
#include "server/process/event.h"
#include "server/process/run_directory.h"
#include "server/reload.h"
#include "server/status.h"

#define EVENTS_MAX 16

/* When to look again whether the threads have run. */
#define WATCHDOG_RETRY (10 * CLOCK_MILLISECOND)

static bool open_events(struct server *server, struct failure *failure)
{
	sigset_t handled;

	sigemptyset(&handled);
	sigaddset(&handled, SIGTERM);
	sigaddset(&handled, SIGINT);
	sigaddset(&handled, SIGHUP);
	sigaddset(&handled, SIGCHLD);
	sigprocmask(SIG_BLOCK, &handled, NULL);
	signal(SIGHUP, SIG_DFL);
	server->signals = signalfd(-1, &handled, SFD_NONBLOCK | SFD_CLOEXEC);
	server->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (server->signals < 0 || server->epoll < 0 ||
	    !event_add_fd(server->epoll, server->signals, event_tag(EVENT_SIGNAL, 0)))
		return failure_set_errno(failure, "cannot wait for events");
	return true;
}

/* The listeners are left to open_sockets. */
static bool take_over(struct server *server, const struct control_daemon *daemon,
		      struct failure *failure)
{
	struct take_over *from = &server->take_over;
	const char *path = daemon->pidfile;

	if (!take_over_request(from, daemon, failure) ||
	    !pidfile_take_over(&server->pidfile, fd_move(&from->pidfile), path, failure) ||
	    !control_take_over(&server->control, fd_move(&from->control), path, failure))
		return false;
	server->engine.upgraded = true;
	server->notify.socket = fd_move(&from->notify);
	if (server->notify.watchdog == 0)
		server->notify.watchdog = from->watchdog;
	return true;
}

/* As process 1, in a container, nothing may be writable. */
static bool go_on_without_pidfile(struct server *server, const struct failure *failure)
{
	char default_path[PATH_MAX];

	run_directory_default_path(default_path);
	if (getpid() != 1 || strcmp(server->pidfile.path, default_path) != 0)
		return false;
	log_write(LOG_NOTICE, "%s: serving without a pid file and a control socket", failure->text);
	pidfile_release(&server->pidfile);
	return true;
}

static bool take_pidfile(struct server *server, bool upgrade, struct failure *failure)
{
	const struct config *config = &server->engine.service.config;
	const char *path = config->pidfile;
	struct control_daemon daemon = { .pidfile = path, .user = config->user.uid };

	if (path[0] == '\0')
		return true;
	control_find(&daemon, failure);
	if (upgrade && daemon.process > 0)
		return take_over(server, &daemon, failure);
	if (daemon.process != PIDFILE_FREE)
		return pidfile_taken(daemon.process, path, failure);
	return (pidfile_take(&server->pidfile, path, failure) &&
		control_open(&server->control, path, failure)) ||
	       go_on_without_pidfile(server, failure);
}

/* Sockets may be open already: from the daemon that was taken over, or from the service manager. */
static bool open_sockets(struct server *server, struct failure *failure)
{
	struct listeners *present = &server->take_over.listeners;

	if (server->take_over.fd < 0 && !listeners_inherit(present, &server->notify, failure))
		return false;
	return engine_open_sockets(&server->engine, present, failure) &&
	       (control_start(&server->control, server->epoll) ||
		failure_set_errno(failure, "cannot wait for events"));
}

/* Gives the files that root has created to the user, who will remove them; what another daemon has
 * handed over keeps its owner. The directory may belong to the user of an earlier daemon. */
static bool drop_privileges(struct server *server, struct failure *failure)
{
	const struct service *service = &server->engine.service;
	const struct user *user = &service->config.user;
	char path[PATH_MAX], *directory;

	if (geteuid() == 0)
		pidfile_chown(&server->pidfile, user->uid, user->gid);
	if (user->name[0] != '\0' && geteuid() == 0 && server->control.owned)
		control_chown(&server->control, user->uid, user->gid);
	snprintf(path, sizeof(path), "%s", service->config.pidfile);
	directory = server->pidfile.fd >= 0 ? dirname(path) : NULL;
	return privileges_drop(&server->engine.privileges, user, directory,
			       web_child_is_configured(&service->listeners), failure);
}

bool server_start(struct server *server, const struct config_source *source, struct config *config,
		  const struct notify *notify, bool upgrade, struct failure *failure)
{
	bool started_as_root = geteuid() == 0;

	server->source = source;
	server->notify = *notify;
	server->epoll = -1;
	server->signals = -1;
	pidfile_clear(&server->pidfile);
	control_clear(&server->control);
	take_over_clear(&server->take_over);
	hand_over_init(&server->hand_over, &server->control, &server->pidfile);
	if (source->file)
		log_write(LOG_DEBUG, "configured by %s", source->file);
	if (engine_open(&server->engine, config, failure) && open_events(server, failure) &&
	    take_pidfile(server, upgrade, failure)) {
		notify_open(&server->notify); /* the user may not be permitted to */
		if (open_sockets(server, failure) && drop_privileges(server, failure)) {
			if (started_as_root && geteuid() != 0)
				reload_warn(source);
			if (engine_start(&server->engine, failure))
				return true;
		}
	}
	server_stop(server);
	return false;
}

bool server_commit_upgrade(struct server *server, struct failure *failure)
{
	if (!take_over_commit(&server->take_over, server->pidfile.path, failure)) {
		server_stop(server);
		return false;
	}
	pidfile_own(&server->pidfile);
	control_own(&server->control);
	return true;
}

void server_stop(struct server *server)
{
	engine_close(&server->engine);
	control_close(&server->control);
	take_over_close(&server->take_over);
	fd_close(&server->signals);
	fd_close(&server->epoll);
	fd_close(&server->notify.socket);
	log_close();
	pidfile_release(&server->pidfile); /* last: the next daemon may start at once */
}

static void reap_children(struct server *server)
{
	int status;
	pid_t process;

	while ((process = waitpid(-1, &status, WNOHANG)) > 0)
		child_reap(&server->engine.web.child, process, status);
}

static void read_signals(struct server *server)
{
	struct signalfd_siginfo signal;

	while (read(server->signals, &signal, sizeof(signal)) == sizeof(signal)) {
		if (signal.ssi_signo == SIGHUP) {
			server->reload_wanted = true;
		} else if (signal.ssi_signo == SIGCHLD) {
			reap_children(server);
		} else if (!server->stopping) {
			log_write(LOG_NOTICE, "stopping on %s from process %u of user %u",
				  signal.ssi_signo == SIGTERM ? "SIGTERM" : "SIGINT",
				  signal.ssi_pid, signal.ssi_uid);
			server->stopping = true;
		}
	}
}

static void notify_serving(const struct server *server)
{
	const struct engine *engine = &server->engine;
	char serving[512];

	listeners_describe(&engine->service.listeners, serving, sizeof(serving));
	notify_send(&server->notify, "READY=1\nSTATUS=%s%s",
		    engine_is_halted(engine) ? "halted: cannot start threads for " : "serving ",
		    serving);
}

/* Whether to reload or upgrade: not while a successor, which has read the configuration already, is
 * about to serve. */
static bool may_change(const struct server *server)
{
	return !server->stopping && hand_over_is_settled(&server->hand_over);
}

/* Returns the reply for the control socket, to be freed; NULL if memory is short. */
static char *reload(struct server *server)
{
	struct reload_report report;
	char *text, *reply;

	server->reload_wanted = false;
	notify_send_reloading(&server->notify);
	reload_run(&server->engine, server->source, &report);
	notify_serving(server);
	text = reload_text(&report);
	reply = control_message_reply(report.status, text ? text : "");
	free(text);
	reload_free(&report);
	return reply;
}

static void conclude_upgrade(struct server *server, enum hand_over_verdict verdict)
{
	long process = server->hand_over.successor;

	switch (verdict) {
	case HAND_OVER_PENDING:
		break;
	case HAND_OVER_DONE:
		log_write(LOG_NOTICE, "upgraded: process %ld took over", process);
		notify_send(&server->notify, "MAINPID=%ld", process);
		hand_over_end(&server->hand_over); /* the successor waits for it */
		server->stopping = true;
		break;
	case HAND_OVER_FAILED:
		control_resume(&server->control);
		log_write(LOG_WARNING, "upgrade failed: the new process did not take over;"
				       " still serving");
		break;
	}
}

static void start_upgrade(struct server *server, unsigned peer)
{
	const struct listeners *listeners = &server->engine.service.listeners;

	pidfile_restore(&server->pidfile);
	control_restore(&server->control);
	control_pause(&server->control); /* new peers wait for the successor */
	conclude_upgrade(server,
			 hand_over_start(&server->hand_over, peer, listeners, &server->notify));
}

static void serve_command(struct server *server, unsigned peer, enum control_command command)
{
	char *reply;

	if (command == CONTROL_COMMAND_STATUS) {
		reply = status_line(&server->engine, server->source, server->stopping);
	} else if (command != CONTROL_COMMAND_RELOAD && command != CONTROL_COMMAND_UPGRADE) {
		reply = control_message_reply(EXIT_USAGE, "malformed request");
	} else if (!may_change(server)) {
		reply = control_message_reply(EXIT_NOT_STARTED, "stopping, or being replaced");
	} else if (command == CONTROL_COMMAND_RELOAD) {
		reply = reload(server);
	} else {
		start_upgrade(server, peer);
		return;
	}
	control_reply(&server->control, peer, reply ? reply : CONTROL_MESSAGE_FAILED);
	free(reply);
}

/* index is a peer's, or CONTROL_PEERS for a new peer. */
static void serve_control(struct server *server, unsigned index)
{
	char request[CONTROL_REQUEST_MAX];

	if (index == CONTROL_PEERS)
		control_accept(&server->control);
	else if ((int)index == server->hand_over.peer)
		conclude_upgrade(server, hand_over_receive(&server->hand_over));
	else if (control_receive(&server->control, index, request, sizeof(request)))
		serve_command(server, index, control_message_read(request));
}

static void dispatch(struct server *server, uint64_t tag)
{
	switch (event_kind(tag)) {
	case EVENT_SIGNAL:
		read_signals(server);
		break;
	case EVENT_CONTROL:
		serve_control(server, event_index(tag));
		break;
	default:
		break;
	}
}

/* Pings the service manager's watchdog when that is due, unless a thread hangs: all are woken at
 * each ping and have to have run by the next one. Returns when to call it again. */
static int64_t tick_watchdog(struct server *server, int64_t now)
{
	if (server->notify.watchdog == 0 || server->stopping)
		return INT64_MAX;
	if (server->watchdog_at > now)
		return server->watchdog_at;
	if (!engine_is_awake(&server->engine)) {
		log_limited(&server->hanging, LOG_ERR,
			    "a thread hangs: the service manager's"
			    " watchdog gets no notification");
		return now + WATCHDOG_RETRY;
	}
	engine_wake(&server->engine);
	notify_send(&server->notify, "WATCHDOG=1");
	server->watchdog_at = now + server->notify.watchdog;
	return server->watchdog_at;
}

static int64_t tick_engine(struct server *server, int64_t now)
{
	bool was_halted = engine_is_halted(&server->engine);
	int64_t due;

	/* The sockets are a successor's, too: nothing may change their state. */
	if (hand_over_is_active(&server->hand_over))
		return INT64_MAX;
	due = engine_tick(&server->engine, now);
	if (was_halted && !engine_is_halted(&server->engine))
		notify_serving(server);
	return due;
}

/* Does what is due by time. Returns for how many milliseconds to wait; -1: without end. */
static int tick(struct server *server)
{
	int64_t now = clock_monotonic(), due;

	conclude_upgrade(server, hand_over_tick(&server->hand_over, now));
	due = hand_over_due(&server->hand_over);
	due = clock_earlier(due, tick_engine(server, now));
	due = clock_earlier(due, pidfile_tick(&server->pidfile, now));
	due = clock_earlier(due, control_tick(&server->control, now));
	due = clock_earlier(due, tick_watchdog(server, now));
	if (server->stopping || (server->reload_wanted && may_change(server)))
		return 0;
	if (due == INT64_MAX)
		return -1;
	now = clock_monotonic();
	return due > now ? (int)((due - now) / CLOCK_MILLISECOND) + 1 : 0;
}

static void drain(struct server *server)
{
	/* The service manager watches the successor by now. */
	if (!hand_over_is_active(&server->hand_over))
		notify_send(&server->notify, "STOPPING=1\nSTATUS=stopping");
	engine_drain(&server->engine);
}

void server_run(struct server *server)
{
	struct epoll_event events[EVENTS_MAX];
	int count;

	while (!server->stopping) {
		count = epoll_wait(server->epoll, events, EVENTS_MAX, tick(server));
		for (int i = 0; i < count; i++)
			dispatch(server, events[i].data.u64);
		if (server->reload_wanted && may_change(server))
			free(reload(server));
	}
	drain(server);
}
