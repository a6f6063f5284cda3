/* The sandbox: each right is given up in a process of its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <asm/ioctls.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
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
	int many[SANDBOX_CALLS_MAX + 1] = { 0 };

	if (sandbox_calls(many, SANDBOX_CALLS_MAX + 1))
		return 1;
	if (!child_filter_calls())
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

static int check_signals(void)
{
	struct f_owner_ex owner = { F_OWNER_PID, getppid() };
	int pipes[2], value = owner.pid;

	if (pipe(pipes) < 0 || !child_filter_calls())
		return 1;
	if (fcntl(pipes[0], F_SETOWN, owner.pid) != -1 || errno != EPERM)
		return 2;
	if (fcntl(pipes[0], F_SETOWN_EX, &owner) != -1 || errno != EPERM)
		return 3;
	if (ioctl(pipes[0], FIOSETOWN, &value) != -1 || errno != EPERM)
		return 4;
	if (ioctl(pipes[0], FIONREAD, &value) != 0 || value != 0)
		return 5;
	return fcntl(pipes[0], F_SETFD, FD_CLOEXEC) == 0 ? 0 : 6;
}

/* A descriptor with an owner could send a signal where the process itself may not. */
static void no_descriptor_can_send_signals(void **state)
{
	(void)state;
	if (!child_can_filter_calls())
		skip();
	child_run(check_signals);
}

static bool can_make_directory(void)
{
	char path[64];

	snprintf(path, sizeof(path), "%s/new", directory);
	return mkdir(path, 0700) == 0 && rmdir(path) == 0;
}

static int check_paths(void)
{
	uint64_t files = SANDBOX_RIGHT_WRITE_FILE | SANDBOX_RIGHT_MAKE_REG;
	int rules = sandbox_begin_paths(sandbox_write_rights());

	if (rules < 0)
		return 1;
	if (sandbox_allow_path(rules, "/nowhere", files))
		return 2;
	if (sandbox_end_paths(rules, false) || !can_make_directory())
		return 3;
	rules = sandbox_begin_paths(sandbox_write_rights());
	if (!sandbox_allow_path(rules, "/", files) || !sandbox_end_paths(rules, true))
		return 4;
	return !can_make_directory() && errno == EACCES ? 0 : 5;
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
		cmocka_unit_test(no_descriptor_can_send_signals),
		cmocka_unit_test(files_can_be_created_where_the_rules_allow_it),
		cmocka_unit_test(directories_can_be_read_where_the_rules_allow_it),
		cmocka_unit_test(no_rights_need_no_rules),
	};

	return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
