/* The daemon at work: everything it holds, from the first socket to the last answer. */
#ifndef SERVER_SERVER_H
#define SERVER_SERVER_H

#include <stdbool.h>
#include <stdint.h>

#include "server/config.h"
#include "server/control.h"
#include "server/failure.h"
#include "server/listen.h"
#include "server/notify.h"
#include "server/pidfile.h"
#include "server/streams.h"

struct server {
	const struct config_source *source; /* read again by a reload */
	struct config config;		    /* in effect */
	struct notify notify;
	struct pidfile pidfile;
	struct control control;
	struct listeners listeners;
	struct streams streams;
	int epoll;
	int signals;		/* signalfd(2) */
	bool reload_wanted;	/* by SIGHUP */
	bool paused;		/* the listeners are not watched for now */
	int64_t started;	/* these three on the monotonic clock */
	int64_t next_life_sign; /* for the watchdog */
	int64_t stop_by;	/* INT64_MAX while serving */
};

/* Takes the pid file, opens all sockets and becomes the user to serve as. config becomes the
 * server's. On failure nothing is left behind. notify was read from the environment. */
bool server_start(struct server *server, const struct config_source *source, struct config *config,
		  const struct notify *notify, struct failure *failure);

/* Serves until SIGTERM or SIGINT. SIGHUP, or a request at the control socket, means: reload. */
void server_run(struct server *server);

/* Lets go of everything; to be called after server_run. */
void server_stop(struct server *server);

#endif
