/* Dropped privileges, in a child process: refused and allowed calls. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/netlink.h>
#include <linux/seccomp.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/sandbox.h"
#include "child.h"
#include "server/process/privileges.h"

static const unsigned long namespaces[] = {
	CLONE_NEWNS,   CLONE_NEWCGROUP, CLONE_NEWUTS, CLONE_NEWIPC,
	CLONE_NEWUSER, CLONE_NEWPID,	CLONE_NEWNET,
};

static char directory[] = "/tmp/sandbox-XXXXXX", victim[] = "/tmp/victim-XXXXXX";

static int make_directory(void **state)
{
	(void)state;
	return mkdtemp(directory) && close(mkstemp(victim)) == 0 ? 0 : -1;
}

static int remove_directory(void **state)
{
	(void)state;
	return unlink(victim) == 0 && rmdir(directory) == 0 ? 0 : -1;
}

/* Runs check in a sandboxed child; it returns 0, or the number of the check that failed. */
static void in_sandboxed_child(int (*check)(const struct privileges *privileges))
{
	const struct user nobody = { .name = "" };
	struct privileges privileges;
	struct failure failure;
	int status;
	pid_t child = fork();

	if (child == 0) {
		setpgid(0, 0); /* a check may signal its own group */
		if (!privileges_drop(&privileges, &nobody, directory, false, &failure))
			_exit(99);
		_exit(check(&privileges));
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

/* A line of /proc/self/status as a hexadecimal number. */
static unsigned long long read_status(const char *name)
{
	char line[256];
	unsigned long long number = ~0ULL;
	FILE *file = fopen("/proc/self/status", "re");

	while (file && fgets(line, sizeof(line), file)) {
		if (strncmp(line, name, strlen(name)) == 0)
			number = strtoull(line + strlen(name), NULL, 16);
	}
	if (file)
		fclose(file);
	return number;
}

static int check_rights(const struct privileges *privileges)
{
	if (!privileges->capabilities || !privileges->no_privileges)
		return 1;
	if (read_status("NoNewPrivs:") != 1)
		return 2;
	return geteuid() == 0 && read_status("CapBnd:") != 0 ? 3 : 0;
}

static void no_capability_is_left(void **state)
{
	(void)state;
	in_sandboxed_child(check_rights);
}

static int check_calls(const struct privileges *privileges)
{
	static char *const nothing[] = { NULL };

	if (sandbox_is_instrumented())
		return 0;
	if (!privileges->calls)
		return SANDBOX_FILTERS_CALLS;
	if (execve("/bin/true", nothing, nothing) != -1 ||
	    errno != (privileges->paths ? EACCES : EPERM))
		return 2;
	if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != -1 || errno != EPERM)
		return 3;
	if (mkdir("/tmp/sandbox-new", 0700) != -1 || errno != EPERM)
		return 4;
	if (setuid(0) != -1 || errno != EPERM)
		return 5;
	if (syscall(SYS_init_module, NULL, 0, "") != -1 || errno != EPERM)
		return 6;
	/* needed calls work */
	return getpid() > 0 && socket(AF_INET, SOCK_DGRAM, 0) >= 0 ? 0 : 7;
}

/* Calls with an argument that would hurt, and with one that does not, which may fail for another
 * reason. */
static const struct {
	const char *what;
	long call, arguments[4];
	bool allowed;
} argument_cases[] = {
	{ "packets", SYS_socket, { AF_PACKET, SOCK_RAW, 0 }, false },
	{ "raw sockets", SYS_socket, { AF_INET, SOCK_RAW, IPPROTO_ICMP }, false },
	{ "ping sockets", SYS_socket, { AF_INET6, SOCK_DGRAM, IPPROTO_ICMPV6 }, false },
	{ "MPTCP", SYS_socket, { AF_INET, SOCK_STREAM, 262 }, false },
	{ "TCP", SYS_socket, { AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0 }, true },
	{ "UDP", SYS_socket, { AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, IPPROTO_UDP }, true },
	{ "the log", SYS_socket, { AF_UNIX, SOCK_DGRAM, 0 }, true },
	{ "control", SYS_socket, { AF_UNIX, SOCK_SEQPACKET, 0 }, true },
	{ "audit", SYS_socket, { AF_NETLINK, SOCK_RAW, NETLINK_AUDIT }, false },
	{ "routes", SYS_socket, { AF_NETLINK, SOCK_RAW, NETLINK_ROUTE }, true },
	{ "filters", SYS_setsockopt, { -1, SOL_SOCKET, SO_ATTACH_FILTER }, false },
	{ "locked filters", SYS_setsockopt, { -1, SOL_SOCKET, SO_LOCK_FILTER }, false },
	{ "interfaces", SYS_setsockopt, { -1, SOL_SOCKET, SO_BINDTODEVICE }, false },
	{ "reuse", SYS_setsockopt, { -1, SOL_SOCKET, SO_REUSEADDR }, true },
	{ "owners", SYS_fcntl, { 0, F_SETOWN }, false },
	{ "owners, extended", SYS_fcntl, { 0, F_SETOWN_EX }, false },
	{ "leases", SYS_fcntl, { 0, F_SETLEASE, F_RDLCK }, false },
	{ "flags", SYS_fcntl, { 0, F_GETFL }, true },
	{ "owners by ioctl", SYS_ioctl, { 0, FIOSETOWN }, false },
	{ "how much waits", SYS_ioctl, { -1, FIONREAD }, true },
	{ "own group", SYS_kill, { 0, SIGKILL }, false },
	{ "other groups", SYS_kill, { -INT_MAX, SIGKILL }, false },
	{ "to stop", SYS_kill, { INT_MAX, SIGSTOP }, false },
	{ "to kill", SYS_kill, { INT_MAX, SIGKILL }, true },
	{ "other threads", SYS_tgkill, { INT_MAX, INT_MAX, SIGABRT }, false },
	{ "other limits", SYS_prlimit64, { INT_MAX, 0 }, false },
	{ "own limits", SYS_prlimit64, { 0, 0 }, true },
	{ "other priorities", SYS_setpriority, { PRIO_PROCESS, INT_MAX, 19 }, false },
	{ "users' priorities", SYS_setpriority, { PRIO_USER, INT_MAX, 19 }, false },
	{ "affinities", SYS_sched_setaffinity, { INT_MAX, 0 }, false },
	{ "exclusive locks", SYS_flock, { -1, LOCK_EX | LOCK_NB }, false },
	{ "shared locks", SYS_flock, { -1, LOCK_SH | LOCK_NB }, true },
	{ "clocks of devices", SYS_clock_adjtime, { -5, 0 }, false },
	{ "the clock", SYS_clock_adjtime, { CLOCK_REALTIME, 0 }, true },
	{ "a pool", SYS_getrandom, { 0, 0, GRND_RANDOM }, false },
	{ "randomness", SYS_getrandom, { 0, 0, GRND_NONBLOCK }, true },
	{ "code", SYS_mmap, { 0, 0, PROT_WRITE | PROT_EXEC }, false },
	{ "libraries", SYS_mmap, { 0, 0, PROT_READ | PROT_EXEC }, true },
	{ "data as code", SYS_mprotect, { 1, 0, PROT_EXEC }, false },
	{ "data", SYS_mprotect, { 1, 0, PROT_READ }, true },
	{ "a parent", SYS_clone, { CLONE_PARENT | SIGCHLD }, false },
	{ "a tracer", SYS_clone, { CLONE_PTRACE | SIGCHLD }, false },
	{ "a name", SYS_prctl, { PR_SET_NAME, 0 }, true },
	{ "dumps", SYS_prctl, { PR_SET_DUMPABLE, 1 }, false },
	{ "strict mode", SYS_prctl, { PR_SET_SECCOMP, SECCOMP_MODE_STRICT }, false },
	{ "pairs", SYS_socketpair, { AF_UNIX, SOCK_STREAM, 0 }, true },
	{ "other pairs", SYS_socketpair, { AF_TIPC, SOCK_STREAM, 0 }, false },
};

static int check_arguments(const struct privileges *privileges)
{
	int failed = 0;

	for (unsigned i = 0;
	     privileges->calls && i < sizeof(argument_cases) / sizeof(argument_cases[0]); i++) {
		const long *words = argument_cases[i].arguments;
		long result =
			syscall(argument_cases[i].call, words[0], words[1], words[2], words[3]);
		bool refused = result == -1 && errno == EPERM;

		if (refused == argument_cases[i].allowed) {
			dprintf(STDERR_FILENO, "%s: %ld\n", argument_cases[i].what, result);
			failed = 1;
		}
	}
	return failed;
}

static void arguments_that_hurt_are_refused(void **state)
{
	(void)state;
	in_sandboxed_child(check_arguments);
}

/* A new user namespace would give every capability back. */
static int check_namespaces(const struct privileges *privileges)
{
	long child;

	if (!privileges->calls)
		return 0;
	for (unsigned i = 0; i < sizeof(namespaces) / sizeof(namespaces[0]); i++) {
		child = syscall(SYS_clone, namespaces[i] | SIGCHLD, NULL, NULL, NULL, 0);
		if (child == 0)
			_exit(0);
		if (child != -1 || errno != EPERM)
			return 1;
	}
	if (unshare(CLONE_NEWUSER) != -1 || errno != EPERM)
		return 2;
	if (syscall(SYS_clone3, NULL, 0) != -1 || errno != ENOSYS)
		return 3;
	child = fork();
	if (child == 0)
		_exit(0);
	return waitpid((pid_t)child, NULL, 0) == child ? 0 : 4;
}

static void no_namespace_can_be_created(void **state)
{
	(void)state;
	in_sandboxed_child(check_namespaces);
}

static int check_zones(const struct privileges *privileges)
{
	char name[IF_NAMESIZE];
	unsigned index = if_nametoindex("lo");

	(void)privileges;
	return index > 0 && if_indextoname(index, name) && strcmp(name, "lo") == 0 ? 0 : 1;
}

/* A reload may have addresses such as fe80::1%eth0. */
static void interfaces_have_names(void **state)
{
	(void)state;
	in_sandboxed_child(check_zones);
}

static void calls_that_are_not_needed_are_refused(void **state)
{
	(void)state;
	in_sandboxed_child(check_calls);
}

static int check_paths(const struct privileges *privileges)
{
	char path[64];

	if (sandbox_is_instrumented() || !privileges->paths)
		return 0;
	if (open("/tmp/sandbox-new", O_WRONLY | O_CREAT, 0600) != -1 || errno != EACCES)
		return 1;
	if (open("/dev/null", O_WRONLY) != -1 || errno != EACCES)
		return 2;
	if (open("/etc/passwd", O_RDONLY) < 0)
		return 3;
	if (sandbox_write_rights() & SANDBOX_RIGHT_TRUNCATE &&
	    (open(victim, O_RDONLY | O_TRUNC) != -1 || errno != EACCES))
		return 6;
	if (privileges->calls && (chmod(victim, 04755) != -1 || errno != EPERM))
		return 7;
	snprintf(path, sizeof(path), "%s/t.pid", directory);
	if (open(path, O_RDWR | O_CREAT, 0600) < 0)
		return 4;
	return unlink(path) == 0 ? 0 : 5;
}

static void files_can_be_created_in_one_directory_only(void **state)
{
	(void)state;
	in_sandboxed_child(check_paths);
}

static char *const nothing_to_pass[] = { NULL };

static int check_no_execution(void)
{
	if (!privileges_filter_syscalls(false))
		return 1;
	return execve("/nowhere", nothing_to_pass, nothing_to_pass) == -1 && errno == EPERM ? 0 : 2;
}

static int check_execution(void)
{
	if (!privileges_filter_syscalls(true))
		return 1;
	return execve("/nowhere", nothing_to_pass, nothing_to_pass) == -1 && errno == ENOENT ? 0 :
											       2;
}

static void nothing_is_executed_without_need(void **state)
{
	(void)state;
	if (!child_can_filter_calls())
		skip();
	child_run(check_no_execution);
	child_run(check_execution);
}

static void the_sandbox_is_described(void **state)
{
	static const struct {
		struct privileges privileges;
		const char *text;
	} cases[] = {
		{ { false, false, false, false, true }, "nothing" },
		{ { true, true, true, true, true },
		  "capabilities, new privileges, paths, system calls" },
		{ { false, true, false, true, false }, "new privileges, system calls" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[128];

		privileges_describe(&cases[i].privileges, text, sizeof(text));
		assert_string_equal(text, cases[i].text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_capability_is_left),
		cmocka_unit_test(calls_that_are_not_needed_are_refused),
		cmocka_unit_test(arguments_that_hurt_are_refused),
		cmocka_unit_test(no_namespace_can_be_created),
		cmocka_unit_test(interfaces_have_names),
		cmocka_unit_test(files_can_be_created_in_one_directory_only),
		cmocka_unit_test(nothing_is_executed_without_need),
		cmocka_unit_test(the_sandbox_is_described),
	};

	return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
