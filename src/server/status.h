/* What "timeserver --signal status" tells: JSON from the daemon, and words for the operator. */
#ifndef SERVER_STATUS_H
#define SERVER_STATUS_H

#include <stdbool.h>
#include <stdio.h>

#include "server/engine.h"

/* The reply to a request for the status, to be freed; NULL if memory is short. */
char *status_line(const struct engine *engine, bool stopping);

/* Writes a reply as a person reads it, a fact a line: "name: value". Returns false if it is not to
 * be understood. */
bool status_print(const char *line, FILE *out);

#endif
