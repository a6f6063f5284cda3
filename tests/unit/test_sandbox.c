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
#include <linux/landlock.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/sandbox.h"
#include "child.h"

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
	return syscall(SYS_getpid) > 0 ? 0 : 4;
}

static void a_call_that_is_not_on_the_list_is_refused(void **state)
{
	(void)state;
	if (!child_can_filter_calls())
		skip();
	child_run(check_calls);
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
	uint64_t files = LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_MAKE_REG;
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

	if (!sandbox_allow_path(rules, "/", LANDLOCK_ACCESS_FS_READ_FILE) ||
	    !sandbox_allow_path(rules, directory, LANDLOCK_ACCESS_FS_READ_DIR) ||
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
		cmocka_unit_test(no_descriptor_can_send_signals),
		cmocka_unit_test(files_can_be_created_where_the_rules_allow_it),
		cmocka_unit_test(directories_can_be_read_where_the_rules_allow_it),
		cmocka_unit_test(no_rights_need_no_rules),
	};

	return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
