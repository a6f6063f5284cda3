/* Executing this program as the web process: see stats/role.h. */
#ifndef SERVER_WEB_CHILD_SPAWN_H
#define SERVER_WEB_CHILD_SPAWN_H

#include "server/request/service.h"
#include "server/web_child.h"

/* Executes this program in its other role, with leash as its end of the socket to the daemon, and
 * notes it as web's process. What it is not passed is closed. Returns 0, or an errno. */
int web_spawn(struct web *web, const struct service *service, int leash);

#endif
