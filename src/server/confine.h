/* Giving up, for good, what serving does not need: rights that a mistake in this program could
 * otherwise lend to a stranger. Each part is done as far as the kernel can; what is in force is
 * told by the status. */
#ifndef SERVER_CONFINE_H
#define SERVER_CONFINE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "server/failure.h"
#include "server/user.h"

/* What is in force. */
struct confinement {
	bool capabilities;  /* none but that for ports below 1024, and none to be regained */
	bool no_privileges; /* no program that is executed could have more rights */
	bool paths;	    /* nothing is written, made, removed or executed outside of a folder */
	bool calls;	    /* only system calls of a list */
};

/* Becomes user and confines this thread and those that it will start. folder is where the pid file
 * is: files may be made there still. Fails only where user_become does. */
bool confine(struct confinement *confinement, const struct user *user, const char *folder,
	     struct failure *failure);

/* What confine could put in force here: by this build, on the running kernel. */
struct confinement confine_foresee(void);

/* Writes what is in force as words, "nothing" if nothing is. */
void confine_describe(const struct confinement *confinement, FILE *out);

/* Allows the system calls of a list from now on; any other is refused. Returns whether that could
 * be done. */
bool confine_calls(void);

/* Whether this build has a filter for this architecture. */
bool confine_knows_calls(void);

/* What the filter does with any other call, in its terms. */
uint32_t confine_refusal(void);

/* Whether this program runs under something that needs more rights than it: valgrind or a
 * sanitizer. */
bool confine_is_instrumented(void);

#endif
