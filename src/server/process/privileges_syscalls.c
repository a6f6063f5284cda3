/* The system calls that serving needs. SECURITY.md says which arguments could hurt, and why. */
#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/seccomp.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

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
	SYS_bind,
	SYS_listen,
	SYS_connect,
	SYS_getsockname,
	SYS_getpeername,
	SYS_getsockopt,
	SYS_ppoll,
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
	/* memory and threads */
	SYS_brk,
	SYS_munmap,
	SYS_mremap,
	SYS_madvise,
	SYS_futex,
	SYS_set_robust_list,
	SYS_rseq,
	SYS_exit,
	SYS_exit_group,
	SYS_sched_getaffinity,
	SYS_sched_yield,
	SYS_getrlimit,
	SYS_setrlimit,
	SYS_restart_syscall,
	SYS_sysinfo,
	/* signals */
	SYS_rt_sigaction,
	SYS_rt_sigprocmask,
	SYS_rt_sigreturn,
	SYS_sigaltstack,
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

/* Sockets: what is used here and by name services. No packet, raw or ping sockets, no audit. */
#define SOCKET(family, type, protocol)                                                  \
	SANDBOX_ALLOW(SYS_socket, SANDBOX_IS(0, family),                                \
		      SANDBOX_BITS(1, ~(uint32_t)(SOCK_CLOEXEC | SOCK_NONBLOCK), type), \
		      SANDBOX_IS(2, protocol))

/* Options: none that drops or redirects requests, and stays on a socket which the service manager
 * or the next daemon has, too: SO_ATTACH_FILTER, SO_LOCK_FILTER, SO_BINDTODEVICE. */
#define OPTION(level, option) \
	SANDBOX_ALLOW(SYS_setsockopt, SANDBOX_IS(1, level), SANDBOX_IS(2, option))

#define FCNTL(command) SANDBOX_ALLOW(SYS_fcntl, SANDBOX_IS(1, command))
#define IOCTL(command) SANDBOX_ALLOW(SYS_ioctl, SANDBOX_IS(1, command))

/* A new user namespace would give all capabilities back; another parent would get the signal of a
 * child's end. No list has clone3: it has its flags in memory, which a filter cannot read. */
#define CLONE_REFUSED                                                                  \
	(CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | \
	 CLONE_NEWPID | CLONE_NEWNET | CLONE_PARENT | CLONE_PTRACE | CLONE_UNTRACED)

#define NEGATIVE (UINT32_C(1) << 31)

/* After these comes tgkill. */
static const struct sandbox_rule rules[] = {
	SOCKET(AF_INET, SOCK_DGRAM, 0),
	SOCKET(AF_INET, SOCK_DGRAM, IPPROTO_UDP),
	SOCKET(AF_INET, SOCK_STREAM, 0),
	SOCKET(AF_INET6, SOCK_DGRAM, 0),
	SOCKET(AF_INET6, SOCK_DGRAM, IPPROTO_UDP),
	SOCKET(AF_INET6, SOCK_STREAM, 0),
	SOCKET(AF_UNIX, SOCK_DGRAM, 0),
	SOCKET(AF_UNIX, SOCK_STREAM, 0),
	SOCKET(AF_UNIX, SOCK_SEQPACKET, 0),
	SOCKET(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE),
	SOCKET(AF_NETLINK, SOCK_DGRAM, NETLINK_ROUTE),
	SANDBOX_ALLOW(SYS_socketpair, SANDBOX_IS(0, AF_UNIX)),
	OPTION(SOL_SOCKET, SO_REUSEADDR),
	OPTION(SOL_SOCKET, SO_REUSEPORT),
	OPTION(SOL_SOCKET, SO_TIMESTAMPNS),
	OPTION(SOL_SOCKET, SO_LINGER),
	OPTION(SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF),
	OPTION(SOL_SOCKET, SO_DETACH_REUSEPORT_BPF),
	OPTION(IPPROTO_TCP, TCP_CONGESTION),
	OPTION(IPPROTO_IP, IP_PKTINFO),
	OPTION(IPPROTO_IP, IP_MTU_DISCOVER),
	OPTION(IPPROTO_IP, IP_FREEBIND),
	OPTION(IPPROTO_IPV6, IPV6_V6ONLY),
	OPTION(IPPROTO_IPV6, IPV6_RECVPKTINFO),
	OPTION(IPPROTO_IPV6, IPV6_MTU_DISCOVER),
	OPTION(IPPROTO_IPV6, IPV6_FREEBIND),
	/* name services */
	OPTION(SOL_SOCKET, SO_RCVBUF),
	OPTION(SOL_SOCKET, SO_SNDBUF),
	OPTION(SOL_SOCKET, SO_RCVTIMEO),
	OPTION(SOL_SOCKET, SO_SNDTIMEO),
	OPTION(SOL_SOCKET, SO_PASSCRED),
	OPTION(IPPROTO_IP, IP_RECVERR),
	OPTION(IPPROTO_IPV6, IPV6_RECVERR),
	SANDBOX_ALLOW(SYS_setsockopt, SANDBOX_IS(1, SOL_NETLINK)),
	/* What sockets need, and names and indexes of interfaces, for fe80::1%eth0. */
	IOCTL(FIONBIO),
	IOCTL(FIONREAD),
	IOCTL(SIOCGIFINDEX),
	IOCTL(SIOCGIFNAME),
	/* No owner, with whose rights a descriptor sends signals; no lease or notification. */
	FCNTL(F_DUPFD),
	FCNTL(F_DUPFD_CLOEXEC),
	FCNTL(F_GETFD),
	FCNTL(F_SETFD),
	FCNTL(F_GETFL),
	FCNTL(F_SETFL),
	FCNTL(F_GETLK),
	FCNTL(F_SETLK),
	FCNTL(F_OFD_GETLK),
	FCNTL(F_OFD_SETLK),
	FCNTL(F_ADD_SEALS),
	FCNTL(F_GET_SEALS),
	/* Other programs wait for a lock. A shared lock delays exclusive locks only. */
	SANDBOX_ALLOW(SYS_flock, SANDBOX_LACKS(1, LOCK_EX)),
	/* Not the clocks of devices. What it changes is in memory: it takes a capability. */
	SANDBOX_ALLOW(SYS_clock_adjtime, SANDBOX_IS(0, CLOCK_REALTIME)),
	SANDBOX_ALLOW(SYS_getrandom, SANDBOX_LACKS(2, GRND_RANDOM)),
	/* Libraries, of name services and of the web process; no code in writable memory. */
	SANDBOX_ALLOW(SYS_mmap, SANDBOX_LACKS(2, PROT_EXEC)),
	SANDBOX_ALLOW(SYS_mmap, SANDBOX_LACKS(2, PROT_WRITE)),
	SANDBOX_ALLOW(SYS_mprotect, SANDBOX_LACKS(2, PROT_EXEC)),
	/* The web process, and a new process of an upgrade, if they hang; no group. */
	SANDBOX_REFUSE(SYS_kill, SANDBOX_IS(0, 0)),
	SANDBOX_ALLOW(SYS_kill, SANDBOX_LACKS(0, NEGATIVE), SANDBOX_IS(1, SIGKILL)),
	SANDBOX_ALLOW(SYS_clone, SANDBOX_LACKS(0, CLONE_REFUSED)),
	/* Itself. */
	SANDBOX_ALLOW(SYS_prlimit64, SANDBOX_IS(0, 0)),
	SANDBOX_ALLOW(SYS_setpriority, SANDBOX_IS(0, PRIO_PROCESS), SANDBOX_IS(1, 0)),
	SANDBOX_ALLOW(SYS_prctl, SANDBOX_IS(0, PR_SET_NAME)),
	SANDBOX_ALLOW(SYS_prctl, SANDBOX_IS(0, PR_SET_SECCOMP), SANDBOX_IS(1, SECCOMP_MODE_FILTER)),
};

#define ALLOWED (sizeof(allowed) / sizeof(allowed[0]))
#define RULES	(sizeof(rules) / sizeof(rules[0]))

bool privileges_filter_syscalls(bool executes)
{
	int all_allowed[ALLOWED + 1];
	struct sandbox_rule all_rules[RULES + 1];
	const struct sandbox_calls calls = {
		.allowed = all_allowed,
		.allowed_count = executes ? ALLOWED + 1 : ALLOWED,
		.rules = all_rules,
		.rule_count = RULES + 1,
	};

	memcpy(all_allowed, allowed, sizeof(allowed));
	all_allowed[ALLOWED] = SYS_execve;
	memcpy(all_rules, rules, sizeof(rules));
	all_rules[RULES] = (struct sandbox_rule)SANDBOX_ALLOW(SYS_tgkill, SANDBOX_IS(0, getpid()));
	return sandbox_filter_calls(&calls);
}

#else

bool privileges_filter_syscalls(bool executes)
{
	(void)executes;
	return false;
}

#endif
