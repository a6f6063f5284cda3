/* The sandbox of the web process, which has the daemon's already. */
#ifndef WEB_WEB_SANDBOX_H
#define WEB_WEB_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>

#include "base/failure.h"

/* The restrictions that the daemon has, so that a failure is one also if its error says that the
 * kernel, or a container, does not have them. */
struct web_sandbox {
	bool needs_paths, needs_calls;
};

/* From here on the process can open no file and no socket, start no process and signal none; it can
 * accept connections on its listeners, at most WEB_ROLE_LISTENERS_MAX, but not change them. Its
 * priority is lower. What the kernel does not support is left out; anything else that fails is a
 * failure. */
bool web_sandbox_enter(const struct web_sandbox *sandbox, const int *listeners, size_t count,
		       struct failure *failure);

#endif
