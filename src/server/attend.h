/* What operators ask at the control socket, and the answers. */
#ifndef SERVER_ATTEND_H
#define SERVER_ATTEND_H

#include "server/server.h"

/* Listens for new peers from now on; if that is not possible, it is tried again later. */
bool server_attend(struct server *server);

void server_attend_no_more(struct server *server);

/* Takes what waits at the control socket: index is that of a peer with a request, or CONTROL_PEERS
 * for a new peer. */
void server_answer_control(struct server *server, uint32_t index);

/* Listens again, if that is due at now. Returns when to be called again. */
int64_t server_tick_control(struct server *server, int64_t now);

#endif
