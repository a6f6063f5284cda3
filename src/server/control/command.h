/* "timeserver --signal": talking to the daemon that runs. */
#ifndef SERVER_COMMAND_H
#define SERVER_COMMAND_H

#include "base/failure.h"
#include "server/options.h"

/* Does the action of options (ACTION_STOP, ACTION_RELOAD or ACTION_STATUS) to the daemon that holds
 * pidfile, and says how it went: on standard output, or on standard error if it did not work. */
enum exit_status command_run(const struct options *options, const char *pidfile);

#endif
