/* The daemon's side of a take_over (see take_over.h): lends all it has, until another process
 * serves in its place or has not for too long. */
#ifndef SERVER_HAND_OVER_H
#define SERVER_HAND_OVER_H

#include "server/server.h"

/* Lends all to a peer of the control socket who has asked for it. */
void server_lend(struct server *server, unsigned peer);

/* The peer to whom all was lent has said something, or is no more. */
void server_hear_successor(struct server *server);

/* Takes everything back from one who does not get on with it, if that is due at now. Returns when
 * to be called again. */
int64_t server_tick_loan(struct server *server, int64_t now);

#endif
