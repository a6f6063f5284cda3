/* "timeserver --signal": sends an action to the running daemon. */
#ifndef SERVER_COMMAND_H
#define SERVER_COMMAND_H

#include "base/failure.h"
#include "server/options.h"

/* Sends the action of options (ACTION_STOP, ACTION_RELOAD or ACTION_STATUS) to the daemon that
 * holds pidfile. Prints the result on standard output, errors on standard error. */
enum exit_status command_run(const struct options *options, const char *pidfile);

#endif
