/* Becoming a daemon. The caller always learns whether it serves, and if not, why. */
#ifndef SERVER_DAEMON_H
#define SERVER_DAEMON_H

#include <stdbool.h>

#include "base/failure.h"

/* Opens /dev/null on descriptors 0, 1 and 2 where they are closed, so that no file opened later
 * gets one of these numbers. To be called first. */
void daemon_fill_standard_descriptors(void);

/* Turns the process into a daemon in the background. The calling process does not return: it waits
 * for the daemon's report, prints it and exits. In the daemon, returns the descriptor for
 * daemon_report_serving or daemon_report_failure, which close it. Exits with a message on an
 * error. */
int daemon_detach(void);

/* The same for the foreground or a supervisor: no fork, no session; keeps standard input, output
 * and error and the inherited descriptors 3 to 2 + inherited_sockets. */
void daemon_foreground_setup(int inherited_sockets);

/* Reports to the calling process what the daemon serves, or why it could not start. report is from
 * daemon_detach; -1: no process waits, so a failure goes to standard error and a success only to
 * the log. */
void daemon_report_serving(int report, const char *what);
void daemon_report_failure(int report, const struct failure *failure);

#endif
