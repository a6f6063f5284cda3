/* The daemon: from the first socket to the last reply.
 *
 * The main thread handles signals, the control socket, upgrades and the service manager, and ticks
 * the engine, which serves. Only this file knows all of them. */
#ifndef SERVER_SERVER_H
#define SERVER_SERVER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/failure.h"
#include "base/log.h"
#include "server/config/config.h"
#include "server/control/control.h"
#include "server/engine.h"
#include "server/process/notify.h"
#include "server/process/pidfile.h"
#include "server/upgrade/hand_over.h"
#include "server/upgrade/take_over.h"

struct server {
	const struct config_source *source; /* read again by a reload */
	struct engine engine;
	struct notify notify;
	struct pidfile pidfile;
	struct control control;
	struct take_over take_over; /* from the predecessor */
	struct hand_over hand_over; /* to the successor */
	int epoll;
	int signals;	     /* signalfd(2) */
	bool reload_wanted;  /* by SIGHUP */
	bool stopping;	     /* server_run is to return */
	int64_t watchdog_at; /* when to ping the watchdog, on the monotonic clock */
	struct log_limit hanging;
};

/* Takes the pid file, opens all sockets, drops privileges and serves. server is of zeros before;
 * config is empty afterwards; source must outlive the server. notify was read from the environment.
 * On failure everything is released.
 *
 * With upgrade the pid file and the sockets are taken over from the daemon that runs, if there is
 * one; it serves beside this process until server_commit_upgrade, and on if this process fails. */
bool server_start(struct server *server, const struct config_source *source, struct config *config,
		  const struct notify *notify, bool upgrade, struct failure *failure);

/* Tells the daemon that was taken over to exit; does nothing if there is none. On failure that
 * daemon serves on and everything is released. */
bool server_commit_upgrade(struct server *server, struct failure *failure);

/* Serves until SIGTERM, SIGINT or a successor; then drains. SIGHUP and a request at the control
 * socket reload. */
void server_run(struct server *server);

/* Releases everything after server_run. */
void server_stop(struct server *server);

#endif
