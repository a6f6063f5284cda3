#include "server/process/privileges.h"

#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <link.h>
#include <linux/capability.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/role.h"
#include "base/sandbox.h"

#define CAPABILITY_LAST 63

/* System calls without a function in the C library. libcap has some, but takes 0.3 MiB in a daemon
 * of 2 MiB. */

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

/* After this no execve(2) can gain a capability. Needs CAP_SETPCAP; without it there is no need. */
static void empty_bounding_set(void)
{
	for (unsigned long capability = 0; capability <= CAPABILITY_LAST; capability++)
		prctl(PR_CAPBSET_DROP, capability, 0, 0, 0);
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
}

/* Keeps CAP_NET_BIND_SERVICE, if present, for a reload that opens a port below 1024. */
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

static bool allow_directory(int rules, const char *directory)
{
	uint64_t rights = SANDBOX_RIGHT_WRITE_FILE | SANDBOX_RIGHT_REMOVE_FILE |
			  SANDBOX_RIGHT_MAKE_REG | SANDBOX_RIGHT_MAKE_SOCK | SANDBOX_RIGHT_TRUNCATE;

	return !directory ||
	       sandbox_allow_path(rules, directory, rights & sandbox_write_rights()) ||
	       errno == ENOENT;
}

/* The path of the dynamic loader from the PT_INTERP header of this program; NULL: none. */
static const char *find_loader(void)
{
	const ElfW(Phdr) *headers = (const void *)getauxval(AT_PHDR);
	size_t count = getauxval(AT_PHNUM);
	const char *loader = NULL, *base = NULL;

	for (size_t i = 0; headers && i < count; i++) {
		if (headers[i].p_type == PT_PHDR)
			base = (const char *)headers - headers[i].p_vaddr;
	}
	for (size_t i = 0; base && i < count; i++) {
		if (headers[i].p_type == PT_INTERP)
			loader = base + headers[i].p_vaddr;
	}
	return loader;
}

/* Allows the loader's directory, not its file: an upgrade of the C library replaces the file. The
 * other files there can be loaded anyway. */
static bool allow_loader(int rules)
{
	const char *loader = find_loader();
	char path[PATH_MAX];

	return !loader || (realpath(loader, path) &&
			   sandbox_allow_path(rules, dirname(path), SANDBOX_RIGHT_EXECUTE));
}

/* For this program in another role: see base/role.h. */
static bool allow_program(int rules)
{
	return sandbox_allow_path(rules, ROLE_PROGRAM, SANDBOX_RIGHT_EXECUTE) &&
	       allow_loader(rules);
}

/* Reading is not restricted: a reload may include any file, and name resolution reads several. */
static bool restrict_paths(const char *directory)
{
	int rules = sandbox_begin_paths(sandbox_write_rights());

	return rules >= 0 &&
	       sandbox_end_paths(rules, allow_directory(rules, directory) && allow_program(rules));
}

bool privileges_drop(struct privileges *privileges, const struct user *user, const char *directory,
		     bool web, struct failure *failure)
{
	empty_bounding_set();
	if (!user_become(user, failure))
		return false;
	*privileges = (struct privileges){
		.capabilities = drop_capabilities(),
		.no_privileges = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0,
		.executes = true,
	};
	if (!privileges->no_privileges || sandbox_is_instrumented())
		return true;
	privileges->paths = restrict_paths(directory);
	web = web || privileges->paths;
	privileges->calls = privileges_filter_syscalls(web);
	privileges->executes = web || !privileges->calls;
	if (!privileges->calls)
		sandbox_avoid_clone3(); /* no thread was started before */
	return true;
}

struct privileges privileges_supported(void)
{
	return (struct privileges){
		.capabilities = true,
		.no_privileges = true,
		.paths = sandbox_write_rights() != 0 && !sandbox_is_instrumented(),
		.calls = SANDBOX_FILTERS_CALLS && !sandbox_is_instrumented(),
	};
}

const char *privileges_describe(const struct privileges *privileges, char *text, size_t size)
{
	const char *const words[] = {
		privileges->capabilities ? "capabilities" : NULL,
		privileges->no_privileges ? "new privileges" : NULL,
		privileges->paths ? "paths" : NULL,
		privileges->calls ? "system calls" : NULL,
	};
	size_t used = 0;

	snprintf(text, size, "nothing");
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]) && used < size; i++) {
		if (words[i])
			used += (size_t)snprintf(text + used, size - used, "%s%s",
						 used > 0 ? ", " : "", words[i]);
	}
	return text;
}
