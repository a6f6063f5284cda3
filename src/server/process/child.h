/* Supervised child processes: this program, executed again in another role (see base/role.h).
 *
 * A child is pinged while it serves, killed when it hangs, and started again when it has ended,
 * with growing delays if it keeps ending. To replace a child, the new process is started first; the
 * old one is asked to end once the new one serves. Several processes of a role are several
 * children.
 *
 * Times are on the monotonic clock. */
#ifndef SERVER_CHILD_H
#define SERVER_CHILD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/counter.h"
#include "base/failure.h"
#include "base/log.h"

/* What a new process is passed. */
struct child_args;

/* Appends a number, or a descriptor, which stays open in the new process under the same number. An
 * error is kept: it fails the start. */
void child_args_add_number(struct child_args *args, unsigned number);
void child_args_add_fd(struct child_args *args, int fd);

struct child_role {
	const char *name;  /* as in --role=NAME */
	const char *title; /* for messages: "web process" */
	/* Appends what a new process is passed; called before each start. Descriptors must stay
	 * open until the next call. Returns 0 or an errno. */
	int (*pass)(void *context, struct child_args *args);
};

struct child {
	const struct child_role *role;
	void *context; /* for role->pass */
	struct counter *starts, *crashes;
	pid_t process;	       /* 0: none */
	int supervisor_fd;     /* our end of the socket to it; -1: none */
	pid_t previous;	       /* the process that it has replaced, until that has ended; 0: none */
	int64_t kill_at;       /* when to kill previous */
	int64_t started;       /* when process was */
	int64_t ping_at;       /* when to ping it next */
	unsigned missed_pings; /* in a row */
	int64_t restart_at;    /* INT64_MAX: no start is due */
	unsigned failures;     /* in a row, to start or to go on */
	struct log_limit crash_log, start_log, hang_log;
};

/* Starts nothing yet. starts counts attempts; crashes counts unexpected exits. */
void child_open(struct child *child, const struct child_role *role, void *context,
		struct counter *starts, struct counter *crashes);

/* Starts a process, in place of the present one if there is one, and waits until it is ready,
 * for TIMEOUT_CHILD_START at most. On failure the present one stays, and another attempt is due
 * later. */
bool child_replace(struct child *child, struct failure *failure);

/* The role is not wanted any more: its process is asked to end. */
void child_stop(struct child *child);

/* Whether the role is wanted: a process runs, or is to be started. */
static inline bool child_is_wanted(const struct child *child)
{
	return child->process != 0 || child->restart_at != INT64_MAX;
}

/* A process has ended and was waited for. Returns false if it is not one of this child's. */
bool child_reap(struct child *child, pid_t process, int status);

/* Does what is due at now: start, ping, kill. Returns when to call it again; INT64_MAX: not before
 * the next event. */
int64_t child_tick(struct child *child, int64_t now);

/* Asks all processes to end; then waits for that, for a moment at most since child_release. */
void child_release(struct child *child);
void child_wait_exit(struct child *child);

#endif
