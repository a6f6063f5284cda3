/* The pid file: a lock that says who runs, and holds as long as that process lives. What the file
 * says is for people; only the lock counts, so a file left behind never blocks a start. */
#ifndef SERVER_PIDFILE_H
#define SERVER_PIDFILE_H

#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

#include "base/failure.h"

struct pidfile {
	int fd;	   /* holds the lock; -1: not taken */
	bool lent; /* by or to another process: releasing it leaves the file alone */
	char path[PATH_MAX];
};

/* The default path: in /run/timeserver for root, else in the user's own runtime directory. */
void pidfile_default_path(char path[static PATH_MAX]);

/* Takes path for this process, which must be the one that is to go on (a lock is not inherited by
 * fork). The default directory is made if it is missing. Nothing but a regular file of a single
 * name, made by the user or root, is ever written to. */
bool pidfile_take(struct pidfile *pidfile, const char *path, struct failure *failure);

/* Gives up the name for a process that is to borrow the file, but not the place, which goes with
 * the descriptor; and has the name again if that comes to nothing. That fails while another process
 * has the name. */
void pidfile_lend(struct pidfile *pidfile);
bool pidfile_take_back(struct pidfile *pidfile, struct failure *failure);

/* The process that has the name of a file that was lent; 0: none has. */
pid_t pidfile_borrower(const struct pidfile *pidfile);

/* Puts this process' name to the file at path that another process has lent as fd. Until lent is
 * false again the file is that one's. fd is the pidfile's in any case. */
bool pidfile_borrow(struct pidfile *pidfile, int fd, const char *path, struct failure *failure);

/* Lets a user without rights remove the file later: hands over the default directory. Does nothing
 * for a directory of the operator's. */
void pidfile_chown(const struct pidfile *pidfile, uid_t uid, gid_t gid);

/* Removes the file, or empties it where the directory does not allow that, and lets go of the
 * lock. */
void pidfile_release(struct pidfile *pidfile);

/* The process that holds path; 0 if none does. While one starts or takes over, waits for its name,
 * up to two seconds; -1: it has not come. */
pid_t pidfile_holder(const char *path);

#endif
