/* The user to serve as, once the sockets are open. */
#ifndef SERVER_USER_H
#define SERVER_USER_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/failure.h"

struct user {
	char name[64]; /* empty: stay who we are */
	uid_t uid;
	gid_t gid;
};

/* Looks name up; false if there is no such user. */
bool user_find(struct user *user, const char *name);

/* Becomes user, with its groups and without a way back. Only root can become somebody else. */
bool user_become(const struct user *user, struct failure *failure);

#endif
