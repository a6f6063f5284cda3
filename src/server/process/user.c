#include "server/process/user.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
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
	user->is_default = false;
	return true;
}

/* Tries it with the effective IDs, which can be changed back. */
static bool can_become(const struct user *user)
{
	bool can = setegid(user->gid) == 0 && seteuid(user->uid) == 0;

	return seteuid(0) == 0 && setegid(0) == 0 && can;
}

/* A container may have no /etc/passwd: nobody has this number everywhere. */
bool user_find_default(struct user *user)
{
	FILE *file = fopen("/etc/passwd", "re");
	const struct passwd *entry;
	bool found = false;

	*user = (struct user){ "nobody", 65534, 65534, true };
	while (file && !found && (entry = fgetpwent(file))) {
		found = strcmp(entry->pw_name, "timeserver") == 0;
		if (found || strcmp(entry->pw_name, "nobody") == 0) {
			snprintf(user->name, sizeof(user->name), "%s", entry->pw_name);
			user->uid = entry->pw_uid;
			user->gid = entry->pw_gid;
		}
	}
	if (file)
		fclose(file);
	return can_become(user);
}

static bool is_current(const struct user *user)
{
	return user->name[0] == '\0' || (geteuid() != 0 && geteuid() == user->uid);
}

static bool set_groups(const struct user *user)
{
	return (user->is_default ? setgroups(1, &user->gid) : initgroups(user->name, user->gid)) ==
	       0;
}

/* Where root cannot change its groups, as in a container with one user, "user root" keeps them. */
bool user_become(const struct user *user, struct failure *failure)
{
	if (is_current(user))
		return true;
	if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0 || (!set_groups(user) && user->uid != 0) ||
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
