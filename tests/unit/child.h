/* Checks in a process of their own, which may give up what the next ones need. */
#ifndef CHILD_H
#define CHILD_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/sandbox.h"

/* Writes down what was run, in a build that counts it: a process that ends without would be left
 * out. */
extern void child_write_counts(void) __asm__("__gcov_dump") __attribute__((weak));

#ifndef SYS_newfstatat /* on machines of 32 bits, where there is no filter */
#define SYS_newfstatat SYS_fstat
#endif

/* Whether no more calls are made here than those of the program itself. */
static inline bool child_may_give_up_calls(void)
{
	return SANDBOX_FILTERS_CALLS && (!sandbox_is_instrumented() || child_write_counts);
}

/* Leaves no calls but those that the end of a process takes, and of one whose runs are counted;
 * and the clock. */
static inline bool child_give_up_calls(void)
{
	static const int ending[] = {
		SYS_read,	SYS_write,     SYS_openat,	  SYS_close,   SYS_lseek,
		SYS_fcntl,	SYS_mmap,      SYS_munmap,	  SYS_brk,     SYS_exit_group,
		SYS_futex,	SYS_getpid,    SYS_mprotect,	  SYS_madvise, SYS_fstat,
		SYS_newfstatat, SYS_ftruncate, SYS_clock_gettime, SYS_ioctl,
	};

	return sandbox_calls(ending, sizeof(ending) / sizeof(ending[0]));
}

/* Runs check in a child; it returns the number of what went wrong, or 0. */
static inline void child_run(int (*check)(void))
{
	int status;
	pid_t child = fork();

	if (child == 0) {
		int wrong = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 ? check() : 99;

		if (child_write_counts)
			child_write_counts();
		_exit(wrong);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

#endif
