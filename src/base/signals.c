#include "base/signals.h"

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>

static bool keeps_default(int number)
{
	switch (number) {
	case SIGHUP:
	case SIGINT:
	case SIGTERM:
	case SIGABRT:
	case SIGCHLD: /* the default action of these does not end a process */
	case SIGCONT:
	case SIGTSTP:
	case SIGTTIN:
	case SIGTTOU:
	case SIGURG:
	case SIGWINCH:
		return true;
	default:
		return false;
	}
}

void signals_reset(void)
{
	sigset_t none;

	for (int number = 1; number < NSIG; number++)
		/* fails for KILL, STOP and the library's own */
		signal(number, keeps_default(number) ? SIG_DFL : SIG_IGN);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}
