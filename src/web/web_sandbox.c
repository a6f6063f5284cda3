#include "web/web_sandbox.h"

#include <sys/resource.h>
#include <sys/syscall.h>

#include "base/sandbox.h"

/* Bytes of address space: many times what 256 connections need. */
#define MEMORY_MAX (64 << 20)

#if SANDBOX_FILTERS_CALLS

static const int allowed[] = {
	/* connections */
	SYS_accept4,
	SYS_read,
	SYS_readv,
	SYS_write,
	SYS_writev,
	SYS_recvfrom,
	SYS_sendto,
	SYS_shutdown,
	SYS_close,
	SYS_getsockopt,
	SYS_getpeername,
	SYS_ioctl,
	SYS_fcntl,
	/* waiting */
	SYS_epoll_ctl,
	SYS_epoll_pwait,
	SYS_timerfd_settime,
	SYS_clock_gettime,
	SYS_gettimeofday,
	SYS_restart_syscall,
	/* memory, and the exit */
	SYS_brk,
	SYS_mmap,
	SYS_munmap,
	SYS_mremap,
	SYS_mprotect,
	SYS_madvise,
	SYS_futex,
	SYS_getrandom,
	SYS_getpid,
	SYS_rt_sigreturn,
	SYS_rt_sigprocmask,
	SYS_rt_sigaction,
	SYS_exit,
	SYS_exit_group,
	SYS_gettid,
#ifdef SYS_epoll_wait /* calls that only older architectures have */
	SYS_epoll_wait,
	SYS_time,
#endif
};

static bool restrict_calls(void)
{
	return sandbox_calls(allowed, sizeof(allowed) / sizeof(allowed[0]));
}

#else

static bool restrict_calls(void)
{
	return false;
}

#endif

void web_sandbox_enter(void)
{
	const struct rlimit memory = { MEMORY_MAX, MEMORY_MAX }, none = { 0, 0 };
	int rules;

	if (sandbox_is_instrumented())
		return;
	setrlimit(RLIMIT_AS, &memory);
	setrlimit(RLIMIT_FSIZE, &none);
	setrlimit(RLIMIT_CORE, &none);
	rules = sandbox_begin_paths(sandbox_write_rights() | sandbox_read_rights());
	if (rules >= 0)
		sandbox_end_paths(rules, true);
	restrict_calls();
}
