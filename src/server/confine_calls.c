/* The list of system calls that serving needs, and the kernel's filter made of it. libseccomp would
 * make it, too, but for a third of a megabyte more of memory, and the daemon promises to need two
 * in all. */
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "server/confine.h"

#if defined(__x86_64__)
#define ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#elif defined(__riscv) && __riscv_xlen == 64
#define ARCHITECTURE AUDIT_ARCH_RISCV64
#endif

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || defined(INSTRUMENTED)
#define SANITIZED true
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED true
#endif
#endif
#ifndef SANITIZED
#define SANITIZED false
#endif

#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#else
#define RUNNING_ON_VALGRIND 0
#endif

bool confine_is_instrumented(void)
{
	return SANITIZED || RUNNING_ON_VALGRIND;
}

#ifdef ARCHITECTURE

static const int allowed[] = {
	/* answering */
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
	/* opening sockets, at a reload and to follow a server or find it by name */
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
	SYS_clone3,
	SYS_set_robust_list,
	SYS_rseq,
	SYS_exit,
	SYS_exit_group,
	SYS_sched_getaffinity,
	SYS_sched_setaffinity,
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
	SYS_renameat,
	SYS_linkat,
	SYS_fchmod,
	SYS_fchmodat,
	SYS_fchown,
	SYS_dup,
	SYS_dup3,
	SYS_umask,
	SYS_getcwd,
	/* who we are */
	SYS_getpid,
	SYS_gettid,
	SYS_getuid,
	SYS_geteuid,
	SYS_getgid,
	SYS_getegid,
#ifdef SYS_open /* calls that only older architectures have */
	SYS_open,
	SYS_stat,
	SYS_lstat,
	SYS_access,
	SYS_poll,
	SYS_epoll_wait,
	SYS_readlink,
	SYS_unlink,
	SYS_rename,
	SYS_link,
	SYS_chmod,
	SYS_dup2,
	SYS_time,
#endif
#ifdef SYS_close_range
	SYS_close_range,
#endif
};

#define ALLOWED (sizeof(allowed) / sizeof(allowed[0]))
#define BEFORE	4 /* instructions before those of the list */
#define X32_BIT 0x40000000

/* A jump of the filter reaches no further. */
_Static_assert(ALLOWED < UINT8_MAX, "the list is too long");

bool confine_knows_calls(void)
{
	return true;
}

bool confine_calls(void)
{
	struct sock_filter filter[BEFORE + ALLOWED + 2] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCHITECTURE, 0, ALLOWED + 2),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, X32_BIT, ALLOWED, 0),
	};
	struct sock_fprog program = { .len = BEFORE + ALLOWED + 2, .filter = filter };

	for (size_t i = 0; i < ALLOWED; i++)
		filter[BEFORE + i] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K,
								  (uint32_t)allowed[i],
								  (uint8_t)(ALLOWED - i), 0);
	filter[BEFORE + ALLOWED] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, confine_refusal());
	filter[BEFORE + ALLOWED + 1] =
		(struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

#else /* calls are numbered in ways not tried: there is no filter */

bool confine_knows_calls(void)
{
	return false;
}

bool confine_calls(void)
{
	return false;
}

#endif
