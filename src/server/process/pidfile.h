/* The pid file: a lock that tells which process runs, released by the kernel when that process
 * ends. The file's text is for people. Only the lock counts, so a stale file never blocks a
 * start. */
#ifndef SERVER_PIDFILE_H
#define SERVER_PIDFILE_H

#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

#include "base/failure.h"

struct pidfile {
	int fd;	    /* holds the lock; -1: not taken */
	bool owned; /* this process removes the file; during an upgrade it is another's */
	char path[PATH_MAX];
};

/* The default path: in /run/timeserver for root, else in the user's own runtime directory. */
void pidfile_default_path(char path[static PATH_MAX]);

/* Creates and locks the pid file at path for this process, after any fork: fork does not inherit
 * the lock. Creates the default directory if it is missing. Writes only to a regular file with a
 * single link that belongs to this user or to root. */
bool pidfile_take(struct pidfile *pidfile, const char *path, struct failure *failure);

/* Releases the PID lock for a successor; the file lock goes over with the descriptor. */
void pidfile_hand_over(struct pidfile *pidfile);

/* Takes the PID lock again after a failed upgrade. Fails while another process holds it. */
bool pidfile_relock(struct pidfile *pidfile, struct failure *failure);

/* The process that holds the PID lock of a pid file that was handed over; 0: none. */
pid_t pidfile_successor(const struct pidfile *pidfile);

/* Takes the PID lock of the pid file at path, open as fd, from a daemon that hands it over. fd
 * belongs to pidfile also after a failure. The file stays that daemon's to remove until owned is
 * set. */
bool pidfile_take_over(struct pidfile *pidfile, int fd, const char *path, struct failure *failure);

/* Gives the default directory to a user, so that the daemon can remove the file without root's
 * rights. Does nothing for any other directory. */
void pidfile_chown(const struct pidfile *pidfile, uid_t uid, gid_t gid);

/* Removes the file if it is owned, or empties it where the directory is not writable, and releases
 * the lock. */
void pidfile_release(struct pidfile *pidfile);

/* The process that holds the pid file at path; 0: none. While a daemon starts or takes over, waits
 * up to two seconds for its PID lock; -1: it did not take it. */
pid_t pidfile_holder(const char *path);

#endif
