/* One process takes the place of another without a moment in which nobody serves.
 *
 * The new process asks at the control socket. The daemon lends it all that it holds (the pid file,
 * the control socket, every socket that it listens on: the same ones, nothing is bound again) and
 * goes on serving. Once the new process serves beside it, it says so, and the old one sees its
 * clients off and ends. A new process that ends without that word has changed nothing. */
#ifndef SERVER_HANDOVER_H
#define SERVER_HANDOVER_H

#include <stdbool.h>
#include <stdint.h>

#include "server/control.h"
#include "server/failure.h"
#include "server/listen.h"
#include "server/pidfile.h"

struct server;

/* What a new process was lent. */
struct handover {
	int fd;	     /* to the process that serves; -1: there is none to take the place of */
	int pidfile; /* descriptors, until they have found their place; -1: not here */
	int control;
	int notify;		    /* to the service manager */
	struct listeners listeners; /* to serve on */
	int64_t watchdog; /* for the service manager, in nanoseconds, as in struct notify */
};

void handover_clear(struct handover *handover);

/* The new process' side: asks the daemon that holds the pid file at path for all it has. On failure
 * that has everything back once this process ends; handover_close is to be called all the same. */
bool handover_ask(struct handover *handover, const char *path, struct failure *failure);

/* Says that this process serves: what was lent is its own from here on. */
void handover_complete(struct handover *handover);

void handover_close(struct handover *handover);

/* The daemon's side: lends all it has to a peer of the control socket who has asked for it. */
void server_lend(struct server *server, unsigned peer);

/* The peer to whom all was lent has said something, or is no more. */
void server_hear_successor(struct server *server);

#endif
