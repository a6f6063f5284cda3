/* Dropping, for good, all privileges that serving does not need, so that an attacker who exploits a
 * bug gains little. Each part is done as far as the kernel supports it; the status shows what is in
 * force. */
#ifndef SERVER_PRIVILEGES_H
#define SERVER_PRIVILEGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/failure.h"
#include "server/process/user.h"

/* What is in force. */
struct privileges {
	bool capabilities;  /* all dropped but CAP_NET_BIND_SERVICE */
	bool no_privileges; /* execve(2) cannot gain privileges */
	bool paths;	    /* writes only below one directory, executes only this program */
	bool calls;	    /* only system calls of a list */
	bool executes;	    /* not restricted: this program can be executed again */
};

/* Becomes user and drops the privileges of this thread and its future threads. Files can still be
 * created in directory, where the pid file is; nowhere, if it is NULL or was removed. With web, the
 * program can be executed again in any case; else only where the kernel can restrict execution to
 * this program. Fails only where user_become does. */
bool privileges_drop(struct privileges *privileges, const struct user *user, const char *directory,
		     bool web, struct failure *failure);

/* What privileges_drop can put in force with this build on the running kernel. */
struct privileges privileges_supported(void);

/* Writes what is in force as words ("nothing" if nothing is) into text and returns text. */
const char *privileges_describe(const struct privileges *privileges, char *text, size_t size);

/* Refuses all system calls from now on, except a list of what serving needs and, with executes,
 * execve(2). Returns whether the filter is in force. */
bool privileges_filter_syscalls(bool executes);

#endif
