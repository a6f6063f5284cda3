#include "server/server.h"

#include <errno.h>
#include <libgen.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/log.h"
#include "server/attend.h"
#include "server/events.h"
#include "server/reload.h"
#include "server/status.h"
#include "server/upgrade/hand_over.h"

#define EVENTS_MAX 16

static bool open_ledger(struct server *server, struct failure *failure)
{
	bool opened = web_open(&server->web, failure);

	server->service.stats = server->web.stats;
	return opened;
}

static bool open_signals(struct server *server, struct failure *failure)
{
	sigset_t handled;

	sigemptyset(&handled);
	sigaddset(&handled, SIGTERM);
	sigaddset(&handled, SIGINT);
	sigaddset(&handled, SIGHUP);
	sigaddset(&handled, SIGCHLD);
	sigprocmask(SIG_BLOCK, &handled, NULL);
	signal(SIGHUP, SIG_DFL);
	signal(SIGPIPE, SIG_IGN);
	server->signals = signalfd(-1, &handled, SFD_NONBLOCK | SFD_CLOEXEC);
	server->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (server->signals < 0 || server->epoll < 0 ||
	    !event_add_fd(server->epoll, EPOLL_CTL_ADD, server->signals,
			  event_tag(EVENT_SIGNAL, 0)))
		return failure_set_errno(failure, "cannot wait for events");
	return true;
}

static int move(int *fd)
{
	int moved = *fd;

	*fd = -1;
	return moved;
}

/* What the daemon that runs lends us. Its listeners are for open_sockets. */
static bool borrow(struct server *server, const char *path, struct failure *failure)
{
	struct take_over *take_over = &server->take_over;

	if (!take_over_request(take_over, path, failure) ||
	    !pidfile_borrow(&server->pidfile, move(&take_over->pidfile), path, failure) ||
	    !control_borrow(&server->control, move(&take_over->control), path, failure))
		return false;
	server->upgraded = true;
	server->notify.socket = move(&take_over->notify);
	if (server->notify.watchdog == 0)
		server->notify.watchdog = take_over->watchdog;
	return true;
}

static bool take_pidfile(struct server *server, bool upgrade, struct failure *failure)
{
	const char *path = server->service.config.pidfile;

	if (upgrade && pidfile_holder(path) > 0)
		return borrow(server, path, failure);
	return pidfile_take(&server->pidfile, path, failure) &&
	       control_open(&server->control, path, failure);
}

/* Those that there are already, from the daemon before or the service manager, and those that are
 * not there yet. */
static bool open_sockets(struct server *server, struct failure *failure)
{
	struct service *service = &server->service;
	struct listeners *present = &server->take_over.listeners;

	if (server->take_over.fd < 0 && !listeners_inherit(present, &server->notify, failure))
		return false;
	if (!listeners_open(&service->listeners, &service->config, workers_wanted(&service->config),
			    present, failure))
		return false;
	listeners_close_unless(present, &service->listeners);
	service_update_ports(service);
	return server_attend(server) || failure_set_errno(failure, "cannot wait for events");
}

/* What was opened as root goes to the user who is to reload, exchange and remove it. */
static bool give_up_rights(struct server *server, struct failure *failure)
{
	const struct user *user = &server->service.config.user;
	char path[PATH_MAX];

	if (user->name[0] != '\0' && geteuid() == 0) {
		pidfile_chown(&server->pidfile, user->uid, user->gid);
		control_chown(&server->control, user->uid, user->gid);
		listeners_chown(&server->service.listeners, user->uid, user->gid);
	}
	snprintf(path, sizeof(path), "%s", server->service.config.pidfile);
	return privileges_drop(&server->privileges, user, dirname(path),
			       web_is_configured(&server->service.listeners), failure);
}

bool server_watch_clock(struct server *server, struct failure *failure)
{
	const struct service *service = &server->service;
	const struct config_clock *source = &service->config.clock;
	bool needed = service_needs_clock(service);

	if (needed && server->monitor.running &&
	    config_clock_equal(source, &server->monitor.source))
		return true;
	clock_monitor_stop(&server->monitor);
	return !needed ||
	       clock_monitor_start(&server->monitor, source, server->service.stats, failure);
}

bool server_adapt_web(struct server *server, struct failure *failure)
{
	struct web *web = &server->web;
	bool adapted;

	status_publish_facts(server);
	history_sampler_publish_top_clients(&server->service, &server->workers);
	adapted = web_adapt(web, &server->service, failure);
	if (!web_is_wanted(web))
		history_sampler_reset(&server->sampler, web->stats);
	return adapted;
}

static bool start_threads(struct server *server, struct failure *failure)
{
	struct workers *workers = &server->workers;

	return server_watch_clock(server, failure) &&
	       workers_resize(workers, workers_wanted(&server->service.config), failure) &&
	       workers_start(workers, failure);
}

static bool start_all(struct server *server, struct failure *failure)
{
	return start_threads(server, failure) && server_adapt_web(server, failure);
}

bool server_start(struct server *server, const struct config_source *source, struct config *config,
		  const struct notify *notify, bool upgrade, struct failure *failure)
{
	*server = (struct server){
		.source = source,
		.service.config = *config,
		.service.precision = clock_measure_precision(),
		.notify = *notify,
		.pidfile.fd = -1,
		.epoll = -1,
		.signals = -1,
		.successor = -1,
		.started = clock_monotonic(),
		.started_clock = time(NULL),
	};
	server->workers.service = &server->service;
	*config = (struct config){ 0 };
	control_clear(&server->control);
	take_over_clear(&server->take_over);
	if (source->file)
		log_write(LOG_DEBUG, "configured by %s", source->file);
	if (open_ledger(server, failure) && open_signals(server, failure) &&
	    take_pidfile(server, upgrade, failure) && open_sockets(server, failure) &&
	    give_up_rights(server, failure) && start_all(server, failure))
		return true;
	server_stop(server);
	return false;
}

bool server_take_place(struct server *server, struct failure *failure)
{
	if (!take_over_commit(&server->take_over, server->pidfile.path, failure)) {
		server_stop(server);
		return false;
	}
	server->pidfile.lent = false;
	server->control.lent = false;
	return true;
}

void server_stop(struct server *server)
{
	web_let_go(&server->web);
	clock_monitor_stop(&server->monitor);
	workers_stop(&server->workers);
	workers_close(&server->workers);
	listeners_close_unless(&server->service.listeners, NULL);
	control_close(&server->control);
	take_over_close(&server->take_over);
	if (server->signals >= 0)
		close(server->signals);
	if (server->epoll >= 0)
		close(server->epoll);
	if (server->notify.socket >= 0)
		close(server->notify.socket);
	web_close(&server->web);
	config_free(&server->service.config);
	log_close();
	pidfile_release(&server->pidfile); /* last: whoever waits for it may start at once */
}

/* Clients that the kernel has already let in are answered before the door closes. */
static void drain(struct server *server)
{
	struct listeners *listeners = &server->service.listeners;
	struct counters sum = { 0 };

	web_let_go(&server->web);
	if (server->successor < 0)
		notify_send(&server->notify, "STOPPING=1\nSTATUS=stopping");
	workers_stop(&server->workers);
	for (size_t i = 0; i < listeners->count; i++)
		workers_drain_listener(&server->workers, &listeners->items[i]);
	listeners_close_unless(listeners, NULL);
	workers_drain(&server->workers);
	web_end(&server->web);
	stats_sum(server->service.stats, server->web.counters, &sum);
	log_write(LOG_NOTICE, "stopped after %llu answers",
		  (unsigned long long)counters_replies(&sum));
}

static void take_signals(struct server *server)
{
	struct signalfd_siginfo signal;

	while (read(server->signals, &signal, sizeof(signal)) == sizeof(signal)) {
		if (signal.ssi_signo == SIGHUP) {
			server->reload_wanted = true;
		} else if (signal.ssi_signo == SIGCHLD) {
			web_reap(&server->web);
		} else if (!server->stopping) {
			log_write(LOG_NOTICE, "stopping on %s from process %u of user %u",
				  signal.ssi_signo == SIGTERM ? "SIGTERM" : "SIGINT",
				  signal.ssi_pid, signal.ssi_uid);
			server->stopping = true;
		}
	}
}

static void dispatch(struct server *server, uint64_t tag)
{
	switch (event_kind(tag)) {
	case EVENT_SIGNAL:
		take_signals(server);
		break;
	case EVENT_CONTROL:
		server_answer_control(server, event_index(tag));
		break;
	default:
		break;
	}
}

/* Gives the watchdog its sign of life when that is due. Returns when to be called again. */
static int64_t tick_watchdog(struct server *server, int64_t now)
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

/* Whether a reload is wanted and can be done: not while a successor is about to take over. */
static bool may_reload(const struct server *server)
{
	return server->reload_wanted && !server->stopping && server->successor < 0;
}

/* Does what is due by time and not by event. Returns for how many milliseconds to wait; -1 for
 * ever. */
static int tick(struct server *server)
{
	const struct service *service = &server->service;
	int64_t now = clock_monotonic(), due = server_tick_loan(server, now);

	due = earlier(due, server_tick_workers(server, now));
	due = earlier(due, server_tick_control(server, now));
	due = earlier(due, tick_watchdog(server, now));
	due = earlier(due, web_tick_before(&server->web, now));
	if (web_is_wanted(&server->web)) {
		due = earlier(due, web_tick(&server->web, service, now));
		due = earlier(due, history_sampler_tick(&server->sampler, service, &server->workers,
							server->web.counters, now));
	}
	if (may_reload(server))
		return 0;
	if (due == INT64_MAX)
		return -1;
	now = clock_monotonic();
	return due > now ? (int)((due - now) / CLOCK_MILLISECOND) + 1 : 0;
}

void server_run(struct server *server)
{
	struct epoll_event events[EVENTS_MAX];
	int count;

	while (!server->stopping) {
		count = epoll_wait(server->epoll, events, EVENTS_MAX, tick(server));
		for (int i = 0; i < count; i++)
			dispatch(server, events[i].data.u64);
		if (may_reload(server))
			server_reload_on_signal(server);
	}
	drain(server);
}
