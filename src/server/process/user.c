#include "server/process/user.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"

bool user_find(struct user *user, const char *name)
{
	const struct passwd *entry = getpwnam(name);

	if (!entry || strlen(name) >= sizeof(user->name))
		return false;
	snprintf(user->name, sizeof(user->name), "%s", name);
	user->uid = entry->pw_uid;
	user->gid = entry->pw_gid;
	return true;
}

static bool is_current(const struct user *user)
{
	return user->name[0] == '\0' || (geteuid() != 0 && geteuid() == user->uid);
}

bool user_become(const struct user *user, struct failure *failure)
{
	if (is_current(user))
		return true;
	if (initgroups(user->name, user->gid) < 0 ||
	    setresgid(user->gid, user->gid, user->gid) < 0 ||
	    setresuid(user->uid, user->uid, user->uid) < 0)
		return failure_set_errno(failure, "cannot become user %s", user->name);
	if (user->uid != 0 && setuid(0) == 0) {
		errno = EPERM;
		return failure_set_errno(failure, "cannot give up root");
	}
	log_write(LOG_DEBUG, "running as user %s (%u), group %u", user->name, user->uid, user->gid);
	return true;
}
