/* What "timeserver --signal status" tells. */
#ifndef SERVER_STATUS_H
#define SERVER_STATUS_H

#include <stdio.h>

#include "server/server.h"

/* Writes it, a fact a line: "name: value". */
void server_write_status(const struct server *server, FILE *out);

#endif
