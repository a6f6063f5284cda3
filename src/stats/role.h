/* The roles in which this program runs besides that of the daemon: it executes itself, with words
 * that no user has a use for. So they are of one version, always, and what they share has one
 * form. */
#ifndef STATS_ROLE_H
#define STATS_ROLE_H

/* This very program, even if its file is not there any more. */
#define ROLE_PROGRAM "/proc/self/exe"

/* The web process: "timeserver --role=web LEASH LEDGER COUNTERS ACCESS RANGES LISTENER...", numbers
 * of descriptors but for one.
 *
 * LEASH is a socket to the daemon. There the process says ROLE_READY once it serves, or else why it
 * cannot, and ROLE_READY again whenever the daemon says ROLE_ASK. When the daemon closes its end,
 * or is no more, the process finishes what it is doing and ends. LEDGER is a struct stats to read,
 * COUNTERS a struct web_counters to count in, ACCESS has so many RANGES of struct access, and one
 * more that says nothing, and each LISTENER is a socket to accept connections at. */
#define ROLE_WEB   "--role=web"
#define ROLE_ASK   "serving?"
#define ROLE_READY "serving"

#define ROLE_LISTENERS_MAX 64

/* Runs in that role; words are what follows ROLE_WEB. Returns the exit status. */
int web_run(char **words);

#endif
