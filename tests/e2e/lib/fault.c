/*
 * fault: runs a command, counts the system calls of all its processes and threads, and makes one of
 * them fail before it reaches the kernel.
 *
 * usage: fault COUNTERS LOG COMMAND...
 * COUNTERS is a file of two 64-bit numbers: the calls so far, and the number of the call that fails
 * (0: none), which another process may write at any time. LOG gets a line for each fault and exit:
 *     fault NAME-OF-THREAD CALL ERROR
 *     exit PROCESS STATUS
 *     killed PROCESS SIGNAL
 * Ends when all processes have ended; if it is killed, so are they.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef __x86_64__
#error "needs the registers of x86-64"
#endif

#define OPTIONS                                                                                   \
	(PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE | \
	 PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL)

/* Errors that these calls can have in practice; all others fail with ENOMEM. */
static const struct {
	int call, error;
} errors[] = {
	{ SYS_openat, EMFILE },
	{ SYS_open, EMFILE },
	{ SYS_socket, EMFILE },
	{ SYS_accept4, EMFILE },
	{ SYS_epoll_create1, EMFILE },
	{ SYS_eventfd2, EMFILE },
	{ SYS_signalfd4, EMFILE },
	{ SYS_timerfd_create, EMFILE },
	{ SYS_pipe2, EMFILE },
	{ SYS_clone, EAGAIN },
	{ SYS_clone3, EAGAIN },
	{ SYS_fork, EAGAIN },
	{ SYS_read, EIO },
	{ SYS_pread64, EIO },
	{ SYS_write, ENOSPC },
	{ SYS_pwrite64, ENOSPC },
	{ SYS_ftruncate, EIO },
	{ SYS_close, EIO },
	{ SYS_bind, EADDRINUSE },
	{ SYS_listen, EADDRINUSE },
	{ SYS_connect, ECONNREFUSED },
	{ SYS_sendto, ENOBUFS },
	{ SYS_sendmsg, ENOBUFS },
	{ SYS_sendmmsg, ENOBUFS },
	{ SYS_recvfrom, ECONNRESET },
	{ SYS_recvmsg, ECONNRESET },
	{ SYS_unlink, EROFS },
	{ SYS_mkdir, EROFS },
	{ SYS_setresuid, EPERM },
	{ SYS_setresgid, EPERM },
	{ SYS_poll, EINTR },
	{ SYS_epoll_wait, EINTR },
	{ SYS_epoll_pwait, EINTR },
	{ SYS_fcntl, EINVAL },
	{ SYS_setsockopt, ENOPROTOOPT },
	{ SYS_fchown, EPERM },
};

/* Calls that never fail here: they cannot, or the C library aborts if they do, or they start a
 * program. */
static const int spared[] = {
	SYS_execve,	SYS_exit,    SYS_exit_group,	  SYS_futex,	       SYS_rt_sigreturn,
	SYS_arch_prctl, SYS_getpid,  SYS_gettid,	  SYS_getuid,	       SYS_geteuid,
	SYS_getgid,	SYS_getegid, SYS_set_tid_address, SYS_set_robust_list, SYS_rseq,
	SYS_brk,	SYS_umask,   SYS_rt_sigprocmask,  SYS_munmap,	       SYS_restart_syscall,
};

struct counters {
	_Atomic uint64_t calls, chosen;
};

/* The thread whose call was skipped, and the error that it returns. */
static struct {
	pid_t thread;
	int error;
} pending;

static FILE *report;

static void require(bool holds, const char *what)
{
	if (holds)
		return;
	perror(what);
	exit(1);
}

static bool is_spared(int call)
{
	for (size_t i = 0; i < sizeof(spared) / sizeof(spared[0]); i++) {
		if (spared[i] == call)
			return true;
	}
	return false;
}

static int error_of(int call)
{
	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		if (errors[i].call == call)
			return errors[i].error;
	}
	return ENOMEM;
}

static void note_fault(pid_t thread, int call, int error)
{
	char path[64], name[32] = "?";
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/comm", thread);
	file = fopen(path, "re");
	if (file) {
		if (fgets(name, sizeof(name), file))
			name[strcspn(name, "\n")] = '\0';
		fclose(file);
	}
	fprintf(report, "fault %s %d %s\n", name, call, strerrorname_np(error));
}

/* A process that has executed the program in another role, until it sets its name. */
static pid_t loading;

/* Before the program opens /dev/null for the first time the loader of its libraries runs, which
 * crashes if a call fails. */
static bool is_begun(pid_t thread, const struct __ptrace_syscall_info *info)
{
	static const char first[] = "/dev/null";
	static bool begun;
	char path[sizeof(first)] = "";
	struct iovec ours = { path, sizeof(path) };
	struct iovec theirs = { (void *)(uintptr_t)info->entry.args[1], sizeof(path) };

	if (!begun && info->entry.nr == SYS_openat &&
	    process_vm_readv(thread, &ours, 1, &theirs, 1, 0) == sizeof(path))
		begun = memcmp(path, first, sizeof(first)) == 0;
	if (loading == thread && info->entry.nr == SYS_prctl)
		loading = 0;
	return begun && loading != thread;
}

/* A thread enters or leaves a system call. */
static void trace_call(struct counters *counters, pid_t thread)
{
	struct __ptrace_syscall_info info;

	if (ptrace(PTRACE_GET_SYSCALL_INFO, thread, sizeof(info), &info) <= 0)
		return;
	if (info.op == PTRACE_SYSCALL_INFO_EXIT && pending.thread == thread) {
		ptrace(PTRACE_POKEUSER, thread, offsetof(struct user_regs_struct, rax),
		       -(long)pending.error);
		pending.thread = 0;
		return;
	}
	if (info.op != PTRACE_SYSCALL_INFO_ENTRY || !is_begun(thread, &info) ||
	    is_spared((int)info.entry.nr) ||
	    atomic_fetch_add(&counters->calls, 1) + 1 != atomic_load(&counters->chosen))
		return;
	pending.thread = thread;
	pending.error = error_of((int)info.entry.nr);
	if (info.entry.nr != SYS_close) /* it closes the descriptor, whatever it returns */
		ptrace(PTRACE_POKEUSER, thread, offsetof(struct user_regs_struct, orig_rax), -1L);
	note_fault(thread, (int)info.entry.nr, pending.error);
}

/* Returns the signal to deliver to the thread; 0: none. */
static int trace_stop(struct counters *counters, pid_t thread, int status)
{
	int signal = WSTOPSIG(status);

	if (status >> 16 == PTRACE_EVENT_EXEC)
		loading = thread;
	if (signal == (SIGTRAP | 0x80))
		trace_call(counters, thread);
	else if (signal != SIGTRAP && signal != SIGSTOP)
		return signal;
	return 0;
}

static void follow(struct counters *counters)
{
	int status;
	pid_t thread;

	while ((thread = waitpid(-1, &status, __WALL)) > 0) {
		if (WIFEXITED(status))
			fprintf(report, "exit %d %d\n", thread, WEXITSTATUS(status));
		else if (WIFSIGNALED(status))
			fprintf(report, "killed %d %d\n", thread, WTERMSIG(status));
		else
			ptrace(PTRACE_SYSCALL, thread, 0,
			       (long)trace_stop(counters, thread, status));
	}
}

int main(int argc, char **argv)
{
	struct counters *counters;
	int fd, status;
	pid_t child;

	require(argc > 3, "usage: fault COUNTERS LOG COMMAND...");
	fd = open(argv[1], O_RDWR | O_CLOEXEC);
	counters = mmap(NULL, sizeof(*counters), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	require(counters != MAP_FAILED, argv[1]);
	report = fopen(argv[2], "ae");
	require(report != NULL, argv[2]);
	setvbuf(report, NULL, _IOLBF, 0);
	child = fork();
	require(child >= 0, "fork");
	if (child == 0) {
		ptrace(PTRACE_TRACEME, 0, 0, 0);
		raise(SIGSTOP);
		execv(argv[3], argv + 3);
		_exit(127);
	}
	require(waitpid(child, &status, 0) == child && WIFSTOPPED(status), argv[3]);
	require(ptrace(PTRACE_SETOPTIONS, child, 0, OPTIONS) == 0, "ptrace");
	fprintf(report, "start %d\n", child);
	ptrace(PTRACE_SYSCALL, child, 0, 0);
	follow(counters);
	return 0;
}
