/* In a build with DEBUG=1 a forbidden system call is logged by its name, and the daemon ends. */
#include "base/sandbox.h"

#ifdef DEBUG_CALLS

#include <linux/seccomp.h>
#include <seccomp.h>
#include <signal.h>
#include <stdlib.h>

#include "base/log.h"

static void report(int number, siginfo_t *info, void *context)
{
	char *name = seccomp_syscall_resolve_num_arch(info->si_arch, info->si_syscall);

	(void)number;
	(void)context;
	log_write(LOG_CRIT, "system call %s is forbidden", name ? name : "without a name");
	abort();
}

uint32_t sandbox_refusal(void)
{
	struct sigaction action = { .sa_sigaction = report, .sa_flags = SA_SIGINFO };

	sigaction(SIGSYS, &action, NULL);
	return SECCOMP_RET_TRAP;
}

#else

#include <errno.h>
#include <linux/seccomp.h>

uint32_t sandbox_refusal(void)
{
	return SECCOMP_RET_ERRNO | EPERM;
}

#endif
