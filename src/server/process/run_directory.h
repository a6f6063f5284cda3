/* The directory of the pid file: this program creates the default one, and keeps programs that
 * clean directories up away from it. */
#ifndef SERVER_RUN_DIRECTORY_H
#define SERVER_RUN_DIRECTORY_H

#include <limits.h>
#include <stdbool.h>

#include "base/failure.h"

/* The default path of the pid file: in /run/timeserver for root, else in the user's own runtime
 * directory. */
void run_directory_default_path(char path[static PATH_MAX]);

/* Whether path is that of a file in the default directory. */
bool run_directory_is_default(const char *path);

/* Creates the directory of path, if it is the default one. Fails if that is not possible, or if
 * other users can write to a directory of an ordinary user. */
bool run_directory_create(const char *path, struct failure *failure);

/* Opens the directory of path. Returns a descriptor; -1 with errno. */
int run_directory_open(const char *path);

/* Locks the directory, so that systemd-tmpfiles(8) removes no old files there. A directory with the
 * sticky bit, such as /tmp, belongs to all users and is not locked. Several processes can hold the
 * lock. To be called again from time to time: it fails while systemd-tmpfiles is there. */
void run_directory_lock(int directory);

#endif
