/* The directory of the pid file: this program creates the default one, and keeps programs that
 * clean directories up away from it. */
#ifndef SERVER_RUN_DIRECTORY_H
#define SERVER_RUN_DIRECTORY_H

#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

#include "base/failure.h"

/* The default path of the pid file: in /run/timeserver for root, else in the user's own runtime
 * directory. */
void run_directory_default_path(char path[static PATH_MAX]);

/* Whether path is that of a file in the default directory. */
bool run_directory_is_default(const char *path);

/* Opens the directory of path; creates the default one. Fails if that is not possible, or if other
 * users can write to it: its group, all users, or, for an ordinary user, an owner other than this
 * one. Any other directory that cannot be read is no failure, since files can be created there: -1
 * in directory. */
bool run_directory_open(const char *path, int *directory, struct failure *failure);

/* Finds the owner of the directory of path. Returns false with errno. */
bool run_directory_owner(const char *path, uid_t *owner);

/* Locks the directory, so that systemd-tmpfiles(8) removes no old files there. A directory with the
 * sticky bit, such as /tmp, belongs to all users and is not locked. Several processes can hold the
 * lock. To be called again from time to time: it fails while systemd-tmpfiles is there. */
void run_directory_lock(int directory);

#endif
