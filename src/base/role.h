/* The roles of this program's child processes: what a supervisor (see server/process/child.h) and
 * its children agree on. Both are the same executable, so their versions never differ.
 *
 * A child is this program, executed again as "timeserver --role=NAME SUPERVISOR WORD...". The
 * words are numbers, most of them of descriptors, in the order that the role defines. SUPERVISOR
 * is a SOCK_SEQPACKET socket: the child sends ROLE_READY once it serves, or one line that says
 * why it cannot, and ROLE_READY again for each ROLE_PING. When the supervisor closes its end,
 * the child finishes the clients it has within ROLE_DRAIN_MILLISECONDS and exits. */
#ifndef BASE_ROLE_H
#define BASE_ROLE_H

#include <stdbool.h>

/* The executable of this process, even if its file was replaced or removed. */
#define ROLE_PROGRAM "/proc/self/exe"
#define ROLE_OPTION  "--role="

#define ROLE_PING	 "serving?"
#define ROLE_READY	 "serving"
#define ROLE_MESSAGE_MAX 256 /* bytes, of any message and its end */

#define ROLE_DRAIN_MILLISECONDS 250

/* The child's side. */
struct role {
	char **words; /* that were not taken yet, up to NULL */
	int supervisor_fd;
	bool valid; /* false after a missing or malformed word */
};

/* Reads SUPERVISOR. Names the process (15 characters), which would be "exe" otherwise, resets the
 * signals, and ignores what a terminal or service manager sends to all processes: the supervisor
 * stops its children itself. words is what follows --role=NAME. */
void role_begin(struct role *role, const char *process_name, char **words);

/* Takes a word. On failure role is no longer valid, and the number is -1. */
int role_take_number(struct role *role);
/* The same for an open descriptor, which is made close-on-exec. */
int role_take_fd(struct role *role);

/* Sends ROLE_READY, or the reason for a failure. */
void role_send(const struct role *role, const char *text);

/* Replies to a ping, if there is one; to be called when supervisor_fd is readable. Returns false
 * once the supervisor has closed its end or has died. */
bool role_reply_ping(const struct role *role);

#endif
