/* The pid file: a lock that tells which process runs, released by the kernel when that process
 * ends. The file's text is for people. Only the lock counts, so a stale file never blocks a
 * start. */
#ifndef SERVER_PIDFILE_H
#define SERVER_PIDFILE_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/failure.h"

struct pidfile {
	int fd;		  /* holds the lock; -1: not taken */
	int directory;	  /* -1: could not be opened */
	int previous;	  /* the file that was handed over, if a new one replaces it; else -1 */
	bool owned;	  /* this process removes the file; during an upgrade it is another's */
	bool lost;	  /* the file was removed and could not be restored */
	int64_t check_at; /* when to look for the file next, on the monotonic clock */
	char path[PATH_MAX];
};

/* Makes a pidfile that is not taken. */
void pidfile_clear(struct pidfile *pidfile);

/* Creates and locks the pid file at path for this process, after any fork: fork does not inherit
 * the lock. Creates the default directory if it is missing. Writes only to a regular file with a
 * single link that is empty or has a process ID, and belongs to this user or to root; for root,
 * also to the owner of the directory. The mode is 0600, since a user who can open the file can lock
 * it. A file of an older version, which others can read, is replaced. */
bool pidfile_take(struct pidfile *pidfile, const char *path, struct failure *failure);

/* Looks for the file of a running daemon, now, or if that is due at now, and creates it again if it
 * was removed. Leaves a file alone that belongs to another daemon. pidfile_tick returns when to
 * call it again. */
void pidfile_restore(struct pidfile *pidfile);
int64_t pidfile_tick(struct pidfile *pidfile, int64_t now);

/* Releases the PID lock for a successor; the file lock goes over with the descriptor. */
void pidfile_hand_over(struct pidfile *pidfile);

/* Takes the PID lock again after a failed upgrade. Fails while another process holds it. */
bool pidfile_relock(struct pidfile *pidfile, struct failure *failure);

/* Creates a new file in place of one whose PID lock another process does not release. Returns false
 * if the directory does not permit it. */
bool pidfile_replace(struct pidfile *pidfile);

/* The process that holds the PID lock of a pid file that was handed over; 0: none. */
pid_t pidfile_successor(const struct pidfile *pidfile);

/* Takes the PID lock of the pid file at path, open as fd, from a daemon that hands it over. fd
 * belongs to pidfile also after a failure. The file may have been removed. That daemon removes
 * it until pidfile_own. A file that others can read is replaced, and removed after a failure: the
 * daemon creates its own again. */
bool pidfile_take_over(struct pidfile *pidfile, int fd, const char *path, struct failure *failure);

/* The upgrade has succeeded: this process removes the file. */
void pidfile_own(struct pidfile *pidfile);

/* Gives the default directory to a user, so that the daemon can remove the file without root's
 * rights. Does nothing for any other directory. */
void pidfile_chown(const struct pidfile *pidfile, uid_t uid, gid_t gid);

/* Removes the file if it is owned, or empties it where the directory is not writable, and releases
 * the lock. */
void pidfile_release(struct pidfile *pidfile);

/* Results of pidfile_holder that are no process. */
#define PIDFILE_FREE	 0
#define PIDFILE_STARTING (-1) /* locked by a daemon that does not say yet which process it is */
#define PIDFILE_UNSEEN	 (-2) /* locked by a process in a PID namespace that is not visible here */

/* Whether the pid file at path, or the process of its daemon, can belong to uid: root, this user or
 * user, which is configured; for root, also the owner of the directory. Anybody can create files in
 * a directory such as /tmp, and listen and hold locks there. */
bool pidfile_trusts(const char *path, uid_t uid, uid_t user);

/* The process that holds the pid file at path, as a writer: to read-lock a file it takes only the
 * right to read it. A file that pidfile_trusts does not cover, or that others can write to, counts
 * as missing. While a daemon starts or takes over, waits up to two seconds for its PID lock. */
pid_t pidfile_holder(const char *path, uid_t user);

/* The failure of a start while holder has the pid file. */
bool pidfile_taken(pid_t holder, const char *path, struct failure *failure);

#endif
