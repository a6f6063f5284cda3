/* Giving up, for good, what serving does not need: rights that a mistake in this program could
 * otherwise lend to a stranger. Each part is done as far as the kernel can; what is in force is
 * told by the status. */
#ifndef SERVER_PRIVILEGES_H
#define SERVER_PRIVILEGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/failure.h"
#include "server/process/user.h"

/* What is in force. */
struct privileges {
	bool capabilities;  /* none but that for ports below 1024, and none to be regained */
	bool no_privileges; /* no program that is executed could have more rights */
	bool paths; /* nothing is written, made or removed outside of a directory, and nothing
			     * is executed but this program */
	bool calls; /* only system calls of a list */
};

/* Becomes user and confines this thread and those that it will start. directory is where the pid
 * file is: files may be made there still. With web, the web process can be started later in any
 * case; else only where the kernel can see to it that nothing else is. Fails only where user_become
 * does. */
bool privileges_drop(struct privileges *privileges, const struct user *user, const char *directory,
		     bool web, struct failure *failure);

/* What privileges_drop could put in force here: by this build, on the running kernel. */
struct privileges privileges_supported(void);

/* Writes what is in force as words, "nothing" if nothing is, into text and returns it. */
const char *privileges_describe(const struct privileges *privileges, char *text, size_t size);

/* Allows the system calls that serving needs from now on, and, with executes, that which executes
 * a program; any other is refused. Returns whether that could be done. */
bool privileges_filter_syscalls(bool executes);

#endif
