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
};

/* Looks up name; returns false if there is no such user. */
bool user_find(struct user *user, const char *name);

/* Changes to user and its groups, for good. Only root can change to another user. Returns false,
 * with the reason in failure, if that fails. */
bool user_become(const struct user *user, struct failure *failure);

#endif
