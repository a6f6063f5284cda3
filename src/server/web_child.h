/* The web process as a child of the daemon: the memory that it shares, and what it is passed. */
#ifndef SERVER_WEB_CHILD_H
#define SERVER_WEB_CHILD_H

#include <stdbool.h>

#include "base/failure.h"
#include "server/process/child.h"
#include "server/process/privileges.h"
#include "server/request/service.h"
#include "stats/stats.h"
#include "stats/web_counters.h"

struct web_child {
	struct child child;
	const struct service *service;	     /* whose HTTP listeners and access list it is passed */
	const struct privileges *privileges; /* of the daemon */
	struct stats *stats;		     /* the process reads this */
	struct web_counters *counters;	     /* the process writes this */
	int stats_fd, counters_fd;
	int access_fd; /* the access list, as the present process has it */
};

/* Makes the memory; starts nothing. service and privileges must stay where they are.
 * web_child_close is to be called also after a failure. */
bool web_child_open(struct web_child *web, const struct service *service,
		    const struct privileges *privileges, struct failure *failure);

/* Whether any of listeners is HTTP's. */
bool web_child_is_configured(const struct listeners *listeners);

/* Has a process serve what of the service is HTTP's now: see child_replace. Where nothing is, the
 * process ends. */
bool web_child_replace(struct web_child *web, struct failure *failure);

/* Whether now has an HTTP listener that before does not have. */
bool web_child_has_new(const struct listeners *now, const struct listeners *before);

/* As child_tick. While no process runs, and none is started soon, connections are refused. */
int64_t web_child_tick(struct web_child *web, int64_t now);

void web_child_close(struct web_child *web);

#endif
