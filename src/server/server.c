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
#include "server/events.h"
#include "server/reload.h"

#define EVENTS_MAX 16

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

static int move(int *fd)
{
	int moved = *fd;

	*fd = -1;
	return moved;
}

/* What the daemon that runs lends us. Its listeners are for open_sockets. */
static bool borrow(struct server *server, const char *path, struct failure *failure)
{
	struct handover *handover = &server->handover;

	if (!handover_ask(handover, path, failure) ||
	    !pidfile_borrow(&server->pidfile, move(&handover->pidfile), path, failure) ||
	    !control_borrow(&server->control, move(&handover->control), path, failure))
		return false;
	server->notify.socket = move(&handover->notify);
	if (server->notify.watchdog == 0)
		server->notify.watchdog = handover->watchdog;
	return true;
}

static bool take_pidfile(struct server *server, bool upgrade, struct failure *failure)
{
	const char *path = server->service.config.pidfile;

	if (upgrade && pidfile_holder(path) != 0)
		return borrow(server, path, failure);
	return pidfile_take(&server->pidfile, path, failure) &&
	       control_open(&server->control, path, failure);
}

/* Those that there are already, from the daemon before or the service manager, and those that are
 * not there yet. */
static bool open_sockets(struct server *server, struct failure *failure)
{
	struct service *service = &server->service;
	struct listeners *present = &server->handover.listeners;

	if (server->handover.fd < 0 && !listeners_inherit(present, &server->notify, failure))
		return false;
	if (!listeners_open(&service->listeners, &service->config, workers_wanted(&service->config),
			    present, failure))
		return false;
	listeners_close_unless(present, &service->listeners);
	service_note_ports(service);
	if (!event_watch(server->epoll, EPOLL_CTL_ADD, server->control.fd,
			 event_tag(EVENT_CONTROL, CONTROL_PEERS)))
		return failure_set_errno(failure, "cannot wait for events");
	return true;
}

/* What was opened as root goes to the user who is to reload, exchange and remove it. */
static bool give_up_rights(struct server *server, struct failure *failure)
{
	const struct user *user = &server->service.config.user;
	char path[PATH_MAX];

	if (user->name[0] != '\0' && geteuid() == 0) {
		pidfile_give_to(&server->pidfile, user->uid, user->gid);
		control_give_to(&server->control, user->uid, user->gid);
		listeners_give_to(&server->service.listeners, user->uid, user->gid);
	}
	snprintf(path, sizeof(path), "%s", server->service.config.pidfile);
	return confine(&server->confinement, user, dirname(path), failure);
}

bool server_watch_clock(struct server *server, struct failure *failure)
{
	const struct service *service = &server->service;
	const struct config_clock *source = &service->config.clock;
	bool needed = service_needs_clock(service);

	if (needed && server->watcher.running &&
	    config_clock_equal(source, &server->watcher.source))
		return true;
	watcher_stop(&server->watcher);
	return !needed || watcher_start(&server->watcher, source, &server->service.board, failure);
}

static bool start_threads(struct server *server, struct failure *failure)
{
	struct workers *workers = &server->workers;

	return server_watch_clock(server, failure) &&
	       workers_resize(workers, workers_wanted(&server->service.config), failure) &&
	       workers_start(workers, failure);
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
	};
	server->workers.service = &server->service;
	*config = (struct config){ 0 };
	control_clear(&server->control);
	handover_clear(&server->handover);
	if (source->file)
		log_write(LOG_DEBUG, "configured by %s", source->file);
	if (open_signals(server, failure) && take_pidfile(server, upgrade, failure) &&
	    open_sockets(server, failure) && give_up_rights(server, failure) &&
	    start_threads(server, failure))
		return true;
	server_stop(server);
	return false;
}

void server_take_place(struct server *server)
{
	handover_complete(&server->handover);
	server->pidfile.lent = false;
	server->control.lent = false;
}

void server_stop(struct server *server)
{
	watcher_stop(&server->watcher);
	workers_stop(&server->workers);
	workers_close(&server->workers);
	listeners_close_unless(&server->service.listeners, NULL);
	control_close(&server->control);
	handover_close(&server->handover);
	if (server->signals >= 0)
		close(server->signals);
	if (server->epoll >= 0)
		close(server->epoll);
	if (server->notify.socket >= 0)
		close(server->notify.socket);
	config_free(&server->service.config);
	log_close();
	pidfile_release(&server->pidfile); /* last: whoever waits for it may start at once */
}

/* Clients that the kernel has already let in are answered before the door closes. */
static void say_farewell(struct server *server)
{
	struct listeners *listeners = &server->service.listeners;
	struct tally sum = { 0 };
	uint64_t answers = 0;

	if (server->successor < 0)
		notify_send(&server->notify, "STOPPING=1\nSTATUS=stopping");
	workers_stop(&server->workers);
	for (size_t i = 0; i < listeners->count; i++)
		worker_serve_last(workers_find(&server->workers, &listeners->items[i]),
				  &listeners->items[i]);
	listeners_close_unless(listeners, NULL);
	workers_see_off(&server->workers, 0);
	workers_tally(&server->workers, &sum);
	for (size_t i = 0; i < PROTOCOL_COUNT; i++)
		answers += counter_read(&sum.answers[i]);
	log_write(LOG_NOTICE, "stopped after %llu answers", (unsigned long long)answers);
}

static void take_signals(struct server *server)
{
	struct signalfd_siginfo signal;

	while (read(server->signals, &signal, sizeof(signal)) == sizeof(signal)) {
		if (signal.ssi_signo == SIGHUP) {
			server->reload_wanted = true;
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

/* Gives the watchdog its sign of life when that is due. Returns for how many milliseconds to wait;
 * -1 for ever. */
static int tend_watchdog(struct server *server)
{
	int64_t now = clock_monotonic();

	if (server->notify.watchdog == 0)
		return -1;
	if (server->next_life_sign <= now) {
		notify_send(&server->notify, "WATCHDOG=1");
		server->next_life_sign = now + server->notify.watchdog / 2;
	}
	return (int)((server->next_life_sign - now) / CLOCK_MILLISECOND) + 1;
}

void server_run(struct server *server)
{
	struct epoll_event events[EVENTS_MAX];
	int count;

	while (!server->stopping) {
		count = epoll_wait(server->epoll, events, EVENTS_MAX, tend_watchdog(server));
		for (int i = 0; i < count; i++)
			dispatch(server, events[i].data.u64);
		if (server->reload_wanted && !server->stopping && server->successor < 0)
			server_reload_on_signal(server);
	}
	say_farewell(server);
}
