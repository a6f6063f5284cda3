/* Connecting to whichever of a server's addresses answers first, in the manner of RFC 8305. */
#ifndef CLIENT_CONNECT_H
#define CLIENT_CONNECT_H

#include <stddef.h>
#include <stdint.h>

#include "base/address.h"

/* A TCP connection that stands. */
struct connection {
	int socket;		/* non-blocking; the holder's to close */
	struct address address; /* of the server */
	int64_t started;	/* the moment that the attempt began, not the race */
};

/* Tries addresses (1 to RESOLVE_LIMIT) in a race: the next one as soon as the one before it fails,
 * or after a quarter of a second while that one goes on trying; the first to connect wins, the
 * others are dropped. Returns 0 or an errno value: ETIME when the moment deadline came first, else
 * the most telling failure. */
int connect_first(struct connection *connection, const struct address *addresses, size_t count,
		  int64_t deadline);

#endif
