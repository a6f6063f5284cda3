/* The role of the web process (see base/role.h):
 *
 *   timeserver --role=web SUPERVISOR STATS COUNTERS ACCESS RANGES PATHS CALLS
 *              LISTENER...
 *
 * STATS is the descriptor of a struct stats to read, COUNTERS that of a struct web_counters to
 * write, ACCESS that of RANGES + 1 struct access_range to read, of which the last is unused
 * (memory cannot be empty). PATHS and CALLS are 1 if the daemon has restricted its own paths
 * and system calls, so that the web process can, and has to. Each LISTENER is a listening TCP
 * socket. */
#ifndef STATS_WEB_ROLE_H
#define STATS_WEB_ROLE_H

#define WEB_ROLE_NAME	       "web"
#define WEB_ROLE_LISTENERS_MAX 64

#endif
