/* A server that changes while it serves. */
#ifndef SERVER_RELOAD_H
#define SERVER_RELOAD_H

#include "server/server.h"

/* Reads the configuration again and puts it into effect as a whole; if any of it is wrong the
 * present one stays as it is. Tells the log how it went. *text is what to tell whoever asked, to be
 * freed: lines of errors, no more than a reply has room for; NULL if memory is short. */
enum exit_status server_reload(struct server *server, char **text);

/* The same with nobody to tell. */
void server_reload_on_signal(struct server *server);

/* If a reload has left the server without workers: tries to have them again, if that is due at now.
 * Returns when to be called again. */
int64_t server_tick_workers(struct server *server, int64_t now);

#endif
