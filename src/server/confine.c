#include "server/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/log.h"

#define CAPABILITY_LAST 63

/* The kernel's calls that the C library has no functions for. libcap would do for the first two, at
 * the price of more memory than all of this program's own. */

static bool get_capabilities(struct __user_cap_data_struct data[static _LINUX_CAPABILITY_U32S_3])
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };

	return syscall(SYS_capget, &header, data) == 0;
}

static bool set_capabilities(
	const struct __user_cap_data_struct data[static _LINUX_CAPABILITY_U32S_3])
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };

	return syscall(SYS_capset, &header, data) == 0;
}

static int create_ruleset(const struct landlock_ruleset_attr *attributes, size_t size,
			  uint32_t flags)
{
	return (int)syscall(SYS_landlock_create_ruleset, attributes, size, flags);
}

/* What no exec could give back. Only who has CAP_SETPCAP can, and only who has it needs to. */
static void empty_bounding_set(void)
{
	for (unsigned long capability = 0; capability <= CAPABILITY_LAST; capability++)
		prctl(PR_CAPBSET_DROP, capability, 0, 0, 0);
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
}

/* A reload may open a port below 1024, if this process could until now: root could, or who was
 * given the right; another user that root has become cannot. */
static bool drop_capabilities(void)
{
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

	if (!get_capabilities(data))
		return false;
	for (int i = 0; i < _LINUX_CAPABILITY_U32S_3; i++) {
		data[i].permitted &= i == 0 ? 1U << CAP_NET_BIND_SERVICE : 0;
		data[i].effective = data[i].permitted;
		data[i].inheritable = 0;
	}
	return set_capabilities(data);
}

/* The rights that the running kernel knows, of those that the headers do. */
static uint64_t known_rights(int version)
{
	uint64_t rights = LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_WRITE_FILE |
			  LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE |
			  LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_DIR |
			  LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SOCK |
			  LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_BLOCK |
			  LANDLOCK_ACCESS_FS_MAKE_SYM;

	return version >= 2 ? rights | LANDLOCK_ACCESS_FS_REFER : rights;
}

static bool allow_folder(int ruleset, const char *folder)
{
	struct landlock_path_beneath_attr rule = {
		.allowed_access = LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_FILE |
				  LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SOCK,
		.parent_fd = open(folder, O_PATH | O_CLOEXEC),
	};
	bool allowed = rule.parent_fd >= 0 && syscall(SYS_landlock_add_rule, ruleset,
						      LANDLOCK_RULE_PATH_BENEATH, &rule, 0) == 0;

	if (rule.parent_fd >= 0)
		close(rule.parent_fd);
	return allowed;
}

static int landlock_version(void)
{
	return create_ruleset(NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
}

/* Reading stays as it is: a reload may include any file, and a name may be looked up anyhow. */
static bool restrict_paths(const char *folder)
{
	int version = landlock_version();
	struct landlock_ruleset_attr attributes = { .handled_access_fs = known_rights(version) };
	int ruleset = version < 1 ? -1 : create_ruleset(&attributes, sizeof(attributes), 0);
	bool restricted;

	if (ruleset < 0)
		return false;
	restricted = allow_folder(ruleset, folder) &&
		     syscall(SYS_landlock_restrict_self, ruleset, 0) == 0;
	close(ruleset);
	return restricted;
}

bool confine(struct confinement *confinement, const struct user *user, const char *folder,
	     struct failure *failure)
{
	empty_bounding_set();
	if (!user_become(user, failure))
		return false;
	*confinement = (struct confinement){
		.capabilities = drop_capabilities(),
		.no_privileges = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0,
	};
	if (!confinement->no_privileges || confine_is_instrumented())
		return true;
	confinement->paths = restrict_paths(folder);
	confinement->calls = confine_calls();
	return true;
}

struct confinement confine_foresee(void)
{
	return (struct confinement){
		.capabilities = true,
		.no_privileges = true,
		.paths = landlock_version() >= 1 && !confine_is_instrumented(),
		.calls = confine_knows_calls() && !confine_is_instrumented(),
	};
}

void confine_describe(const struct confinement *confinement, FILE *out)
{
	const char *const words[] = {
		confinement->capabilities ? "capabilities" : NULL,
		confinement->no_privileges ? "new privileges" : NULL,
		confinement->paths ? "paths" : NULL,
		confinement->calls ? "system calls" : NULL,
	};
	const char *separator = "";

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (words[i]) {
			fprintf(out, "%s%s", separator, words[i]);
			separator = ", ";
		}
	}
	fputs(*separator == '\0' ? "nothing" : "", out);
}
