/* The reply to "timeserver --signal status": JSON from the daemon, printed as text for the
 * operator. */
#ifndef SERVER_STATUS_H
#define SERVER_STATUS_H

#include <stdbool.h>
#include <stdio.h>

#include "server/engine.h"

/* The reply to a request for the status, to be freed; NULL if memory is short. */
char *status_line(const struct engine *engine, bool stopping);

/* Prints a reply for the operator: lines of "name: value". Returns false if it is malformed. */
bool status_print(const char *line, FILE *out);

#endif
