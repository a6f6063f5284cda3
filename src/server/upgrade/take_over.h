/* The new process's side of an upgrade: takes over from the daemon that runs. Both serve until
 * take_over_commit. See hand_over.h for the steps, upgrade_message.h for the messages. */
#ifndef SERVER_TAKE_OVER_H
#define SERVER_TAKE_OVER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/failure.h"
#include "server/control/control_client.h"
#include "server/sockets/listeners.h"

/* What the daemon has handed over. Descriptors are -1 if there is none or once they were taken. */
struct take_over {
	int fd; /* the connection to the daemon; -1: there is none to take over from */
	int pidfile;
	int control;
	int notify;
	struct listeners listeners;
	int64_t watchdog; /* as in struct notify */
};

void take_over_clear(struct take_over *take_over);

/* Asks the daemon for everything. Call take_over_close also after a failure: the daemon serves on
 * then. */
bool take_over_request(struct take_over *take_over, const struct control_daemon *daemon,
		       struct failure *failure);

/* Tells the daemon that this process serves: everything is this process's from here on. Fails if
 * the daemon has taken it back. Does nothing if there is no daemon. */
bool take_over_commit(struct take_over *take_over, const char *path, struct failure *failure);

void take_over_close(struct take_over *take_over);

#endif
