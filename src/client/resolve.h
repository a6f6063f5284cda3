/* From a host's name to its addresses. */
#ifndef CLIENT_RESOLVE_H
#define CLIENT_RESOLVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/address.h"

/* Addresses of a host that are tried; a name server may send any number. */
#define RESOLVE_LIMIT 32

/* Looks host up, a name or a literal address, and sets addresses and count to what it found, with
 * port, in the order in which to try them. family is AF_INET, AF_INET6, or AF_UNSPEC for both.
 * Returns NULL, or what is wrong in words. Blocks for as long as name servers make it: there is no
 * limit to be set. */
const char *resolve_host(struct address addresses[static RESOLVE_LIMIT], size_t *count,
			 const char *host, uint16_t port, int family);

/* Reorders addresses so that the families alternate as long as there are both, beginning with that
 * of the first; within a family the order stays (RFC 8305, section 4). */
void resolve_interleave(struct address *addresses, size_t count);

#endif
