/* The sandbox: each right is given up in a process of its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/sandbox.h"
#include "base/syscalls.h"
#include "child.h"

#if __has_include(<linux/landlock.h>)
#include <linux/landlock.h>
_Static_assert(SANDBOX_RIGHT_EXECUTE == LANDLOCK_ACCESS_FS_EXECUTE &&
		       SANDBOX_RIGHT_WRITE_FILE == LANDLOCK_ACCESS_FS_WRITE_FILE &&
		       SANDBOX_RIGHT_READ_FILE == LANDLOCK_ACCESS_FS_READ_FILE &&
		       SANDBOX_RIGHT_READ_DIR == LANDLOCK_ACCESS_FS_READ_DIR &&
		       SANDBOX_RIGHT_REMOVE_DIR == LANDLOCK_ACCESS_FS_REMOVE_DIR &&
		       SANDBOX_RIGHT_REMOVE_FILE == LANDLOCK_ACCESS_FS_REMOVE_FILE &&
		       SANDBOX_RIGHT_MAKE_CHAR == LANDLOCK_ACCESS_FS_MAKE_CHAR &&
		       SANDBOX_RIGHT_MAKE_DIR == LANDLOCK_ACCESS_FS_MAKE_DIR &&
		       SANDBOX_RIGHT_MAKE_REG == LANDLOCK_ACCESS_FS_MAKE_REG &&
		       SANDBOX_RIGHT_MAKE_SOCK == LANDLOCK_ACCESS_FS_MAKE_SOCK &&
		       SANDBOX_RIGHT_MAKE_FIFO == LANDLOCK_ACCESS_FS_MAKE_FIFO &&
		       SANDBOX_RIGHT_MAKE_BLOCK == LANDLOCK_ACCESS_FS_MAKE_BLOCK &&
		       SANDBOX_RIGHT_MAKE_SYM == LANDLOCK_ACCESS_FS_MAKE_SYM,
	       "the rights are the kernel's");
#endif

static char directory[] = "/tmp/sandbox-XXXXXX";

static int make_directory(void **state)
{
	(void)state;
	return mkdtemp(directory) ? 0 : -1;
}

static int remove_directory(void **state)
{
	(void)state;
	return rmdir(directory);
}

static int check_calls(void)
{
	static const struct sandbox_rule many[SANDBOX_RULES_MAX + 1] = {
		[SANDBOX_RULES_MAX] = SANDBOX_ALLOW(SYS_getppid),
	};
	static const int numbers[SANDBOX_CALLS_MAX + 1];
	const struct sandbox_calls long_list = { numbers, SANDBOX_CALLS_MAX + 1, NULL, 0 };

	if (sandbox_filter_calls(&long_list) || errno != E2BIG ||
	    child_filter_calls(many, SANDBOX_RULES_MAX + 1) || errno != E2BIG)
		return 1;
	if (!child_filter_calls(NULL, 0))
		return 2;
	if (syscall(SYS_getppid) != -1 || errno != EPERM)
		return 3;
	/* a C library that knows it then makes an older call */
	if (syscall(SYS_pidfd_open, 1, 0) != -1 || errno != ENOSYS)
		return 4;
	return syscall(SYS_getpid) > 0 ? 0 : 5;
}

static void a_call_that_is_not_on_the_list_is_refused(void **state)
{
	(void)state;
	if (!child_can_filter_calls())
		skip();
	child_run(check_calls);
}

static bool can_fork(void)
{
	pid_t child = fork();

	if (child == 0)
		_exit(0);
	return waitpid(child, NULL, 0) == child;
}

/* Within a filter that refuses clone3 with EPERM, it fails with ENOSYS. */
static int check_clone3(void)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone3, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { sizeof(filter) / sizeof(filter[0]), filter };

	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
		return 1;
	if (syscall(SYS_clone3, NULL, 0) != -1 || errno != EPERM)
		return 2;
	sandbox_avoid_clone3();
	if (syscall(SYS_clone3, NULL, 0) != -1 || errno != ENOSYS)
		return 3;
	return can_fork() ? 0 : 4;
}

static void clone3_is_avoided_where_it_is_refused(void **state)
{
	(void)state;
	if (sandbox_is_instrumented())
		skip();
	child_run(check_clone3);
}

static int check_working_clone3(void)
{
	if (syscall(SYS_clone3, NULL, 0) != -1 || errno != EINVAL)
		return 0; /* an old kernel */
	sandbox_avoid_clone3();
	return syscall(SYS_clone3, NULL, 0) == -1 && errno == EINVAL ? 0 : 1;
}

static void clone3_is_not_avoided_where_it_works(void **state)
{
	(void)state;
	child_run(check_working_clone3);
}

#define HIGH (UINT64_C(1) << 32)

/* With these rules kill(2) fails with ESRCH where they allow it: its arguments are no process. */
static const struct sandbox_rule call_rules[] = {
	SANDBOX_REFUSE(SYS_kill, SANDBOX_IS(0, 0)),
	SANDBOX_ALLOW(SYS_kill, SANDBOX_LACKS(0, UINT32_C(1) << 31), SANDBOX_IS(1, 0)),
	SANDBOX_ALLOW(SYS_kill, SANDBOX_BITS(0, 0xff0000ff, 0x80000001), SANDBOX_HAS_ONLY(1, 6)),
	SANDBOX_ALLOW(SYS_sendto, SANDBOX_IS_NULL(4), SANDBOX_IS(0, -1)),
	SANDBOX_ALLOW(SYS_getppid),
	SANDBOX_ALLOW(SYS_pidfd_open, SANDBOX_IS(0, -1)),
};

static bool kill_is_allowed(uint64_t process, uint64_t signal)
{
	return syscall(SYS_kill, process, signal) == -1 && errno != EPERM;
}

static bool sendto_is_allowed(uint64_t fd, uint64_t address)
{
	return syscall(SYS_sendto, fd, NULL, 0, 0, address, 0) == -1 && errno == EBADF;
}

static int check_rules(void)
{
	const uint64_t none = 0x7ffffffe; /* above the highest number of a process */
	const uint64_t group = 0x80000001;

	if (!child_filter_calls(call_rules, sizeof(call_rules) / sizeof(call_rules[0])))
		return 1;
	if (!kill_is_allowed(none, 0) || !kill_is_allowed(HIGH | none, HIGH))
		return 2;
	if (kill_is_allowed(0, 0) || kill_is_allowed(HIGH, 0) || kill_is_allowed(none, 1))
		return 3;
	if (!kill_is_allowed(group | 0xabcd00, 4) || !kill_is_allowed(group, 6))
		return 4;
	if (kill_is_allowed(group + 1, 4) || kill_is_allowed(group, 1) || kill_is_allowed(group, 5))
		return 5;
	/* of a pointer both halves count */
	if (!sendto_is_allowed(UINT32_MAX, 0) || !sendto_is_allowed(UINT64_MAX, 0))
		return 6;
	if (sendto_is_allowed(UINT32_MAX, 1) || sendto_is_allowed(UINT32_MAX, HIGH) ||
	    sendto_is_allowed(UINT32_MAX - 1, 0))
		return 7;
	if (syscall(SYS_getppid) < 0 || syscall(SYS_getuid) != -1 || errno != EPERM)
		return 8;
	if (syscall(SYS_pidfd_open, -1, 0) != -1 || errno == EPERM)
		return 9;
	return syscall(SYS_pidfd_open, 1, 0) == -1 && errno == ENOSYS ? 0 : 10;
}

static void a_rule_is_for_arguments(void **state)
{
	(void)state;
	if (!child_can_filter_calls())
		skip();
	child_run(check_rules);
}

static void unsupported_is_not_failed(void **state)
{
	(void)state;
	assert_true(sandbox_is_unsupported(ENOSYS));
	assert_true(sandbox_is_unsupported(EOPNOTSUPP));
	assert_true(sandbox_is_unsupported(EINVAL));
	assert_true(sandbox_is_unsupported(EPERM));
	assert_false(sandbox_is_unsupported(ENOMEM));
	assert_false(sandbox_is_unsupported(E2BIG));
	assert_false(sandbox_is_unsupported(EACCES));
}

/* These remove what they have made, if they may. */
static bool can_make_directory(void)
{
	char path[64];

	snprintf(path, sizeof(path), "%s/new", directory);
	return mkdir(path, 0700) == 0 && (rmdir(path) == 0 || true);
}

static bool can_make_link(void)
{
	char path[64];

	snprintf(path, sizeof(path), "%s/link", directory);
	return symlink("/", path) == 0 && (unlink(path) == 0 || true);
}

static bool can_make_fifo(void)
{
	char path[64];

	snprintf(path, sizeof(path), "%s/fifo", directory);
	return mkfifo(path, 0600) == 0 && (unlink(path) == 0 || true);
}

static int check_paths(void)
{
	uint64_t files = SANDBOX_RIGHT_WRITE_FILE | SANDBOX_RIGHT_MAKE_REG;
	int rules = sandbox_begin_paths(sandbox_write_rights());

	if (rules < 0)
		return 1;
	if (sandbox_allow_path(rules, "/nowhere", files))
		return 2;
	if (sandbox_end_paths(rules, false) || !can_make_directory() || !can_make_link() ||
	    !can_make_fifo())
		return 3;
	rules = sandbox_begin_paths(sandbox_write_rights());
	if (!sandbox_allow_path(rules, "/", files) || !sandbox_end_paths(rules, true))
		return 4;
	if (can_make_directory() || errno != EACCES)
		return 5;
	if (can_make_link() || errno != EACCES)
		return 6;
	return !can_make_fifo() && errno == EACCES ? 0 : 7;
}

/* An incomplete set of rules is not applied: it would forbid needed files. */
static void files_can_be_created_where_the_rules_allow_it(void **state)
{
	(void)state;
	if (sandbox_write_rights() == 0)
		skip(); /* a kernel without Landlock */
	child_run(check_paths);
}

static int check_reading(void)
{
	int rules = sandbox_begin_paths(sandbox_read_rights());

	if (!sandbox_allow_path(rules, "/", SANDBOX_RIGHT_READ_FILE) ||
	    !sandbox_allow_path(rules, directory, SANDBOX_RIGHT_READ_DIR) ||
	    !sandbox_end_paths(rules, true))
		return 1;
	if (open("/", O_RDONLY | O_DIRECTORY) != -1 || errno != EACCES)
		return 2;
	return open(directory, O_RDONLY | O_DIRECTORY) >= 0 ? 0 : 3;
}

static void directories_can_be_read_where_the_rules_allow_it(void **state)
{
	(void)state;
	if (sandbox_read_rights() == 0)
		skip();
	child_run(check_reading);
}

static void no_rights_need_no_rules(void **state)
{
	(void)state;
	assert_int_equal(sandbox_begin_paths(0), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_call_that_is_not_on_the_list_is_refused),
		cmocka_unit_test(clone3_is_avoided_where_it_is_refused),
		cmocka_unit_test(clone3_is_not_avoided_where_it_works),
		cmocka_unit_test(a_rule_is_for_arguments),
		cmocka_unit_test(unsupported_is_not_failed),
		cmocka_unit_test(files_can_be_created_where_the_rules_allow_it),
		cmocka_unit_test(directories_can_be_read_where_the_rules_allow_it),
		cmocka_unit_test(no_rights_need_no_rules),
	};

	return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
