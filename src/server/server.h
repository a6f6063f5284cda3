/* The daemon at work: everything it holds, from the first socket to the last answer.
 *
 * The main thread looks after signals, the control socket, the web process and the service manager;
 * workers answer; a monitor watches the clock. */
#ifndef SERVER_SERVER_H
#define SERVER_SERVER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/failure.h"
#include "server/clock/clock_monitor.h"
#include "server/config/config.h"
#include "server/control/control.h"
#include "server/history_sampler.h"
#include "server/process/notify.h"
#include "server/process/pidfile.h"
#include "server/process/privileges.h"
#include "server/request/workers.h"
#include "server/upgrade/take_over.h"
#include "server/web_child.h"

struct server {
	const struct config_source *source; /* read again by a reload */
	struct service service; /* what the workers share; the configuration in effect */
	struct privileges privileges;
	struct workers workers;
	struct clock_monitor monitor;
	struct web web;
	struct history_sampler sampler;
	struct notify notify;
	struct pidfile pidfile;
	struct control control;
	struct take_over take_over; /* from the process whose place this one takes */
	int successor;		    /* the peer of control that takes this one's place; -1: none */
	int64_t lent_until;	    /* when to take back what it was lent, on the monotonic clock */
	pid_t borrower;		    /* the process that it was lent to */
	int64_t end_borrower_at;    /* when that one is ended by force, after it was taken back */
	int64_t attend_at; /* when to listen to new peers of control again; 0: that is done */
	int epoll;
	int signals;	    /* signalfd(2) */
	bool reload_wanted; /* by SIGHUP */
	bool stopping;
	bool upgraded;		/* it took the place of a daemon that ran */
	int64_t started;	/* both on the monotonic clock */
	time_t started_clock;	/* on the system clock */
	int64_t next_life_sign; /* for the watchdog */
	int64_t retry_at;	/* when to try to have workers again; 0: there are */
};

/* Takes the pid file, opens all sockets and becomes the user to serve as. config becomes the
 * server's. On failure nothing is left behind. notify was read from the environment.
 *
 * With upgrade these are taken from the daemon that runs, if one does; it serves on beside this one
 * until server_take_place, or for good if this one fails. */
bool server_start(struct server *server, const struct config_source *source, struct config *config,
		  const struct notify *notify, bool upgrade, struct failure *failure);

/* Ends the daemon that this one was to take the place of, if there is one. If that has waited no
 * longer it serves on, and of this one nothing is left behind. */
bool server_take_place(struct server *server, struct failure *failure);

/* Serves until SIGTERM or SIGINT. SIGHUP, or a request at the control socket, means: reload. */
void server_run(struct server *server);

/* Starts the monitor if what is served needs it, or ends it. Its first word on the clock is there
 * when this returns. */
bool server_watch_clock(struct server *server, struct failure *failure);

/* Has the web process, if there is to be one, at work for what is configured, and the stats tell
 * of it. */
bool server_adapt_web(struct server *server, struct failure *failure);

/* Lets go of everything; to be called after server_run. */
void server_stop(struct server *server);

#endif
