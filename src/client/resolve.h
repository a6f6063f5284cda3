/* Looking up the addresses of a host. */
#ifndef CLIENT_RESOLVE_H
#define CLIENT_RESOLVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/address.h"

/* The maximum of addresses used. */
#define RESOLVE_MAX 32

/* Looks up host, a name or a literal address, and sets addresses, with port, and count, in order of
 * preference. family is AF_INET, AF_INET6, or AF_UNSPEC for both. Returns NULL or an error message.
 * Blocks without a time limit. */
const char *resolve_host(struct address addresses[static RESOLVE_MAX], size_t *count,
			 const char *host, uint16_t port, int family);

/* Reorders addresses so that the families alternate, starting with that of the first, and keep
 * their order within a family (RFC 8305 section 4). */
void resolve_interleave(struct address *addresses, size_t count);

#endif
