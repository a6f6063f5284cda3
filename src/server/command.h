/* "timeserver --signal": sends an action to the running daemon. */
#ifndef SERVER_COMMAND_H
#define SERVER_COMMAND_H

#include <stdbool.h>

#include "base/failure.h"
#include "server/config/config.h"
#include "server/options.h"

/* Sends the action of options (ACTION_STOP, ACTION_RELOAD or ACTION_STATUS) to the daemon of
 * config, which was read from source. Prints the result on standard output, errors on standard
 * error.
 *
 * Sets *upgrade, and prints nothing, if options say to upgrade where a reload is not enough: the
 * daemon runs another program file, or lacks a right that the new configuration needs. */
enum exit_status command_run(const struct options *options, const struct config_source *source,
			     const struct config *config, bool *upgrade);

#endif
