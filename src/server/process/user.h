/* The user that the daemon runs as after it has opened its sockets. */
#ifndef SERVER_USER_H
#define SERVER_USER_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/failure.h"

struct user {
	char name[64]; /* empty: do not change the user */
	uid_t uid;
	gid_t gid;
	bool is_default; /* without further groups */
};

/* Looks up name; returns false if there is no such user. */
bool user_find(struct user *user, const char *name);

/* Finds the user that a daemon of root runs as by default: timeserver, which is made for it, or
 * nobody. Reads /etc/passwd only: the libraries of other user databases would take 0.4 MiB in a
 * daemon of 2 MiB. Returns false if this process cannot become that user, as in a container without
 * other users. */
bool user_find_default(struct user *user);

/* Changes to user and its groups, for good. Only root can change to another user; it keeps its
 * permitted capabilities, for the caller to drop. Returns false, with the reason in failure, if
 * that fails. */
bool user_become(const struct user *user, struct failure *failure);

#endif
