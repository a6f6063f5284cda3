/* Connecting by TCP to the first of a server's addresses that accepts (RFC 8305). */
#ifndef CLIENT_CONNECT_H
#define CLIENT_CONNECT_H

#include <stddef.h>
#include <stdint.h>

#include "base/address.h"

struct connection {
	int socket;		/* non-blocking; to be closed by the owner */
	struct address address; /* of the server */
	int64_t started;	/* monotonic time of the connect call */
};

/* Tries addresses (1 to RESOLVE_MAX) as attempts.h describes. Returns 0 or an errno value: ETIME at
 * the monotonic time deadline, else the most significant failure. */
int connect_first(struct connection *connection, const struct address *addresses, size_t count,
		  int64_t deadline);

#endif
