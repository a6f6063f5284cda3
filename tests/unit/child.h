/* Runs checks in a child process, which may give up rights that later tests need. */
#ifndef CHILD_H
#define CHILD_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/sandbox.h"

/* Writes the coverage data of a process, in a build for coverage; _exit() does not. */
extern void child_write_counts(void) __asm__("__gcov_dump") __attribute__((weak));

#ifndef SYS_newfstatat /* on 32 bits, where there is no filter */
#define SYS_newfstatat SYS_fstat
#endif

/* Whether calls can be filtered here: a sanitizer makes calls of its own. */
static inline bool child_can_filter_calls(void)
{
	return SANDBOX_FILTERS_CALLS && (!sandbox_is_instrumented() || child_write_counts);
}

/* Allows only the calls for the end of a process, for coverage data, and for the clock; and what
 * the rules allow. */
static inline bool child_filter_calls(const struct sandbox_rule *rules, size_t count)
{
	static const int allowed[] = {
		SYS_read,	SYS_write,     SYS_openat,	  SYS_close,   SYS_lseek,
		SYS_fcntl,	SYS_mmap,      SYS_munmap,	  SYS_brk,     SYS_exit_group,
		SYS_futex,	SYS_getpid,    SYS_mprotect,	  SYS_madvise, SYS_fstat,
		SYS_newfstatat, SYS_ftruncate, SYS_clock_gettime,
	};
	const struct sandbox_calls calls = {
		.allowed = allowed,
		.allowed_count = sizeof(allowed) / sizeof(allowed[0]),
		.rules = rules,
		.rule_count = count,
	};

	return sandbox_filter_calls(&calls);
}

/* Runs check in a child process; it returns 0, or the number of the check that failed. */
static inline void child_run(int (*check)(void))
{
	int status;
	pid_t child = fork();

	if (child == 0) {
		int failed = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 ? check() : 99;

		if (child_write_counts)
			child_write_counts();
		_exit(failed);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

#endif
