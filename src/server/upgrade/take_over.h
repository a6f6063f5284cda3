/* One process takes the place of another without a moment in which nobody serves.
 *
 * The new process asks at the control socket. The daemon lends it all that it holds (the pid file,
 * the control socket, every socket that it listens on: the same ones, nothing is bound again) and
 * goes on serving. Once the new process serves beside it, it says so, and the old one sees its
 * clients off and ends. A new process that ends without that word has changed nothing, and so has
 * one that is late with it.
 *
 * What goes over is a line for each descriptor, in a message with it, so that the next version may
 * add to them: "pidfile", "control", "notify", "listen PROTOCOL SHARD [inherited]", and at last,
 * without a descriptor, "end WATCHDOG", in microseconds. A line of JSON (see request.h) says why
 * there is none, or no more. */
#ifndef SERVER_TAKE_OVER_H
#define SERVER_TAKE_OVER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/failure.h"
#include "server/process/pidfile.h"
#include "server/sockets/listeners.h"

#define TAKE_OVER_LINE_SIZE 128

/* Said by the new process once it serves. */
#define TAKE_OVER_COMPLETE "serving"

/* Room for one descriptor, aligned as the kernel wants it. */
union take_over_attachment {
	struct cmsghdr header;
	char bytes[CMSG_SPACE(sizeof(int))];
};

/* What a new process was lent. */
struct take_over {
	int fd;	     /* to the process that serves; -1: there is none to take the place of */
	int pidfile; /* descriptors, until they have found their place; -1: not here */
	int control;
	int notify;		    /* to the service manager */
	struct listeners listeners; /* to serve on */
	int64_t watchdog; /* for the service manager, in nanoseconds, as in struct notify */
};

void take_over_clear(struct take_over *take_over);

/* Asks the daemon that holds the pid file at path for all it has. On failure that has everything
 * back once this process ends; take_over_close is to be called all the same. */
bool take_over_request(struct take_over *take_over, const char *path, struct failure *failure);

/* Says to the daemon of the pid file at path that this process serves: what was lent is its own
 * from here on. Fails if that has taken it back. */
bool take_over_commit(struct take_over *take_over, const char *path, struct failure *failure);

void take_over_close(struct take_over *take_over);

#endif
