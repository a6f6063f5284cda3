/* The keeper of the web process: starts it where HTTP is configured, starts it again if it dies,
 * and ends it. The time service never waits for it. */
#ifndef SERVER_WEB_CHILD_H
#define SERVER_WEB_CHILD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/failure.h"
#include "server/request/service.h"
#include "stats/stats.h"
#include "stats/web_counters.h"

struct web {
	struct stats *stats;	       /* what the process reads */
	struct web_counters *counters; /* what it counts */
	int stats_fd, counters_fd;
	pid_t process;	     /* 0: there is none */
	pid_t before;	     /* whose place it has taken, until that has ended; 0: it has */
	int64_t kill_at;     /* when that is to end by force, on the monotonic clock */
	int leash;	     /* a socket to it; -1: none */
	int64_t begun;	     /* on the monotonic clock, as the next ones */
	int64_t ask_at;	     /* when to ask it whether it still serves */
	unsigned unanswered; /* such questions in a row */
	int64_t again_at;    /* when to start it again; INT64_MAX: there is nothing to start */
	unsigned failures;   /* in a row */
};

/* Makes the memory that is shared with it. web_close is to be called also after a failure. */
bool web_open(struct web *web, struct failure *failure);

/* Whether any of listeners is HTTP's. */
bool web_is_configured(const struct listeners *listeners);

/* Has a process at work for what of service is HTTP's, in place of the present one, if there is
 * one; where nothing is, it ends. Waits for it to serve. On failure the present one stays, and
 * another attempt is due later. */
bool web_adapt(struct web *web, const struct service *service, struct failure *failure);

/* Whether HTTP is served. */
static inline bool web_is_wanted(const struct web *web)
{
	return web->process != 0 || web->again_at != INT64_MAX;
}

/* Buries children that have ended; if the process is among them, the next one is due at once, or
 * later if it did not live for long. */
void web_reap(struct web *web);

/* Starts the process again if that is due at now, and ends one that hangs, for web_reap to bury.
 * Returns when to be called again. */
int64_t web_tick(struct web *web, const struct service *service, int64_t now);

/* Ends the process before by force, if it has had its time at now and is still there. Returns when
 * to be called again. */
int64_t web_tick_before(const struct web *web, int64_t now);

/* Has the process finish what it is at, and end; then waits for that, for a moment at most after
 * web_let_go. */
void web_let_go(struct web *web);
void web_end(struct web *web);

void web_close(struct web *web);

#endif
