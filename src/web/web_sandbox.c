/* SECURITY.md says which arguments could hurt, and why. */
#include "web/web_sandbox.h"

#include <errno.h>
#include <linux/futex.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "base/sandbox.h"
#include "stats/web_role.h"

/* Bytes of address space: many times what 256 connections need. */
#define MEMORY_MAX (64 << 20)

/* Replies of the time service come first. */
#define NICE 10

#if SANDBOX_FILTERS_CALLS

/* The filter of the daemon, which this process has, too, has rules for some of them. */
static const int allowed[] = {
	/* connections */
	SYS_accept4,
	SYS_read,
	SYS_readv,
	SYS_write,
	SYS_writev,
	SYS_recvfrom,
	SYS_close,
	SYS_getpeername,
	/* waiting */
	SYS_epoll_ctl,
	SYS_epoll_pwait,
	SYS_timerfd_settime,
	SYS_clock_gettime,
	SYS_gettimeofday,
	SYS_restart_syscall,
	/* memory, and the exit */
	SYS_brk,
	SYS_munmap,
	SYS_mremap,
	SYS_mprotect,
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

#define PRIVATE_MEMORY (MAP_PRIVATE | MAP_ANONYMOUS)

/* After these come the listeners. */
static const struct sandbox_rule rules[] = {
	SANDBOX_ALLOW(SYS_sendto, SANDBOX_IS_NULL(4), SANDBOX_HAS_ONLY(3, MSG_NOSIGNAL)),
	SANDBOX_ALLOW(SYS_ioctl, SANDBOX_IS(1, FIONREAD)),
	SANDBOX_ALLOW(SYS_getsockopt, SANDBOX_IS(1, SOL_SOCKET), SANDBOX_IS(2, SO_ERROR)),
	SANDBOX_ALLOW(SYS_mmap, SANDBOX_LACKS(2, PROT_EXEC),
		      SANDBOX_BITS(3, MAP_TYPE | MAP_ANONYMOUS, PRIVATE_MEMORY)),
	SANDBOX_ALLOW(SYS_madvise, SANDBOX_IS(2, MADV_DONTNEED)),
	SANDBOX_ALLOW(SYS_madvise, SANDBOX_IS(2, MADV_FREE)),
	SANDBOX_ALLOW(SYS_futex, SANDBOX_IS(1, FUTEX_WAIT_PRIVATE)),
	SANDBOX_ALLOW(SYS_futex, SANDBOX_IS(1, FUTEX_WAKE_PRIVATE)),
	SANDBOX_ALLOW(SYS_futex, SANDBOX_IS(1, FUTEX_WAIT_BITSET_PRIVATE)),
	SANDBOX_ALLOW(SYS_futex, SANDBOX_IS(1, FUTEX_WAIT_BITSET_PRIVATE | FUTEX_CLOCK_REALTIME)),
};

#define RULES (sizeof(rules) / sizeof(rules[0]))

/* No call that is allowed can give a listener another number. */
static bool restrict_calls(const int *listeners, size_t count)
{
	struct sandbox_rule all[RULES + WEB_ROLE_LISTENERS_MAX + 1];
	struct sandbox_calls calls = {
		.allowed = allowed,
		.allowed_count = sizeof(allowed) / sizeof(allowed[0]),
		.rules = all,
		.rule_count = RULES,
	};

	memcpy(all, rules, sizeof(rules));
	for (size_t i = 0; i < count; i++)
		all[calls.rule_count++] =
			(struct sandbox_rule)SANDBOX_REFUSE(SYS_shutdown,
							    SANDBOX_IS(0, listeners[i]));
	all[calls.rule_count++] = (struct sandbox_rule)SANDBOX_ALLOW(SYS_shutdown);
	return sandbox_filter_calls(&calls);
}

#else

static bool restrict_calls(const int *listeners, size_t count)
{
	(void)listeners;
	(void)count;
	errno = ENOSYS;
	return false;
}

#endif

static bool restrict_paths(void)
{
	int none = sandbox_begin_paths(sandbox_write_rights() | sandbox_read_rights());

	return none >= 0 && sandbox_end_paths(none, true);
}

/* The limit that it has may be lower. */
static bool limit(int resource, rlim_t maximum)
{
	struct rlimit limit;

	if (getrlimit(resource, &limit) < 0)
		return false;
	if (limit.rlim_max > maximum)
		limit.rlim_max = maximum;
	limit.rlim_cur = limit.rlim_max;
	return setrlimit(resource, &limit) == 0;
}

bool web_sandbox_enter(const struct web_sandbox *sandbox, const int *listeners, size_t count,
		       struct failure *failure)
{
	setpriority(PRIO_PROCESS, 0, NICE); /* fails if it has a lower priority */
	if (sandbox_is_instrumented())
		return true;
	if (!limit(RLIMIT_AS, MEMORY_MAX) || !limit(RLIMIT_FSIZE, 0) || !limit(RLIMIT_CORE, 0))
		return failure_set_errno(failure, "cannot limit its resources");
	if (!restrict_paths() && (sandbox->needs_paths || !sandbox_is_unsupported(errno)))
		return failure_set_errno(failure, "cannot restrict its paths");
	return restrict_calls(listeners, count) ||
	       (!sandbox->needs_calls && sandbox_is_unsupported(errno)) ||
	       failure_set_errno(failure, "cannot restrict its system calls");
}
