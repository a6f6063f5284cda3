/* The system calls that serving needs. */
#include <string.h>

#include "base/sandbox.h"
#include "base/syscalls.h"
#include "server/process/privileges.h"

#if SANDBOX_FILTERS_CALLS

static const int allowed[] = {
	/* replying */
	SYS_epoll_pwait,
	SYS_recvmmsg,
	SYS_sendmmsg,
	SYS_recvmsg,
	SYS_sendmsg,
	SYS_recvfrom,
	SYS_sendto,
	SYS_accept4,
	SYS_shutdown,
	SYS_read,
	SYS_write,
	SYS_writev,
	SYS_close,
	SYS_clock_gettime,
	SYS_gettimeofday,
	/* opening sockets: at a reload, to follow a server, to resolve its name */
	SYS_socket,
	SYS_bind,
	SYS_listen,
	SYS_connect,
	SYS_getsockname,
	SYS_getpeername,
	SYS_setsockopt,
	SYS_getsockopt,
	SYS_socketpair,
	SYS_ppoll,
	SYS_ioctl,
	SYS_uname,
	/* waiting: events, signals, timers */
	SYS_epoll_create1,
	SYS_epoll_ctl,
	SYS_eventfd2,
	SYS_signalfd4,
	SYS_timerfd_create,
	SYS_timerfd_settime,
	SYS_clock_nanosleep,
	SYS_nanosleep,
	SYS_adjtimex,
	SYS_clock_adjtime,
	/* memory and threads */
	SYS_brk,
	SYS_mmap,
	SYS_munmap,
	SYS_mremap,
	SYS_mprotect,
	SYS_madvise,
	SYS_futex,
	SYS_clone,
	SYS_set_robust_list,
	SYS_rseq,
	SYS_exit,
	SYS_exit_group,
	SYS_sched_getaffinity,
	SYS_sched_yield,
	SYS_prctl,
	SYS_prlimit64,
	SYS_getrlimit,
	SYS_setrlimit,
	SYS_getrandom,
	SYS_restart_syscall,
	SYS_sysinfo,
	/* signals */
	SYS_rt_sigaction,
	SYS_rt_sigprocmask,
	SYS_rt_sigreturn,
	SYS_sigaltstack,
	SYS_tgkill,
	/* files: the configuration, the time zone, the pid file, the name service */
	SYS_openat,
	SYS_newfstatat,
	SYS_fstat,
	SYS_statx,
	SYS_lseek,
	SYS_pread64,
	SYS_pwrite64,
	SYS_getdents64,
	SYS_readlinkat,
	SYS_faccessat,
	SYS_fcntl,
	SYS_flock,
	SYS_ftruncate,
	SYS_unlinkat,
	SYS_dup,
	SYS_dup3,
	SYS_umask,
	SYS_getcwd,
	/* identity */
	SYS_getpid,
	SYS_gettid,
	SYS_getuid,
	SYS_geteuid,
	SYS_getgid,
	SYS_getegid,
	/* starting the web process, and what that does before and for its own sandbox */
	SYS_landlock_create_ruleset,
	SYS_landlock_add_rule,
	SYS_landlock_restrict_self,
	SYS_memfd_create,
	SYS_wait4,
	SYS_waitid,
	SYS_kill,
	SYS_set_tid_address,
#ifdef SYS_arch_prctl
	SYS_arch_prctl,
#endif
	SYS_readv,
	SYS_pipe2,
#ifdef SYS_open /* calls that only older architectures have */
	SYS_open,
	SYS_stat,
	SYS_lstat,
	SYS_access,
	SYS_poll,
	SYS_epoll_wait,
	SYS_readlink,
	SYS_unlink,
	SYS_dup2,
	SYS_time,
#endif
};

#define ALLOWED (sizeof(allowed) / sizeof(allowed[0]))

bool privileges_filter_syscalls(bool executes)
{
	int list[ALLOWED + 1];

	memcpy(list, allowed, sizeof(allowed));
	list[ALLOWED] = SYS_execve;
	return sandbox_calls(list, executes ? ALLOWED + 1 : ALLOWED);
}

#else

bool privileges_filter_syscalls(bool executes)
{
	(void)executes;
	return false;
}

#endif
