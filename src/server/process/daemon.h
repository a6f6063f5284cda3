/* Becoming a daemon, step by step, without ever leaving the caller in the dark. */
#ifndef SERVER_DAEMON_H
#define SERVER_DAEMON_H

#include <stdbool.h>

#include "base/failure.h"

/* Opens /dev/null on those of the descriptors 0, 1 and 2 that the caller left closed, so that no
 * file opened later ends up there. To be called first. */
void daemon_fill_standard_descriptors(void);

/* Puts every signal back to its default, with none blocked, whatever the caller had set. */
void daemon_reset_signals(void);

/* Turns the process into a daemon in the background. The calling process waits until it serves,
 * or says why not, on the caller's terminal, and never returns from here. In the daemon it
 * returns a descriptor to report to, which daemon_report closes. Exits, with a message, if it
 * cannot be done. */
int daemon_detach(void);

/* The same minus everything that would take a supervised process away from its supervisor: no fork,
 * and standard input, output and error stay, as do inherited descriptors 3 to 2 +
 * inherited_sockets. */
void daemon_stay(int inherited_sockets);

/* Tells the waiting process that the daemon serves, and what, or, with a failure, why it does not.
 * report is what daemon_detach returned, or -1 where nobody waits: then standard error is told of a
 * failure, and a success is left to the log. */
void daemon_report_serving(int report, const char *what);
void daemon_report_failure(int report, const struct failure *failure);

#endif
