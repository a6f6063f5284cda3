/* The client's side of the control socket. */
#ifndef SERVER_CONTROL_CLIENT_H
#define SERVER_CONTROL_CLIENT_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/failure.h"

struct control_daemon {
	const char *pidfile;
	uid_t user;    /* as configured: see pidfile_trusts */
	pid_t process; /* or a result of pidfile_holder */
};

/* Finds the daemon of pidfile: the process that holds the pid file or, if that file was removed,
 * that listens at the control socket. Returns true if there is one, perhaps in another PID
 * namespace; else false with a failure. */
bool control_find(struct control_daemon *daemon, struct failure *failure);

/* Connects to the daemon, and to no other process than was found. Its messages time out after
 * seconds. Returns the connection; -1, with a failure. */
int control_connect(const struct control_daemon *daemon, int seconds, struct failure *failure);

/* Sends request to the daemon and waits up to seconds for the reply. Returns it, to be freed; NULL,
 * with a failure. */
char *control_request(const struct control_daemon *daemon, const char *request, int seconds,
		      struct failure *failure);

#endif
