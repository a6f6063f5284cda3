/* A server that changes while it serves, and what it says of itself. */
#ifndef SERVER_RELOAD_H
#define SERVER_RELOAD_H

#include "server/server.h"

/* Reads the configuration again and puts it into effect as a whole; if any of it is wrong the
 * present one stays as it is. Tells the log how it went. */
void server_reload_on_signal(struct server *server);

/* Takes what waits at the control socket: index is that of a peer with a request, or CONTROL_PEERS
 * for a new peer. A "reload" is as above, with its errors in the reply. */
void server_answer_control(struct server *server, uint32_t index);

#endif
