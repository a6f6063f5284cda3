/* Looking a name up while something more urgent goes on: name servers take their time. */
#ifndef SERVER_LOOKUP_H
#define SERVER_LOOKUP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/address.h"

enum lookup_result {
	LOOKUP_PENDING,
	LOOKUP_FOUND,
	LOOKUP_FAILED,
};

struct lookup;

/* Starts to look host up, in a thread of its own with the caller's signal mask. Returns NULL if
 * that cannot be. */
struct lookup *lookup_start(const char *host);

/* What has come of it. Sets address to the which-th of the addresses found, counted round and
 * round, with port. To be asked again while it is pending; lookup_release in any case. */
enum lookup_result lookup_poll(struct lookup *lookup, unsigned which, uint16_t port,
			       struct address *address);

/* Lets go of it, finished or not; NULL is allowed. */
void lookup_release(struct lookup *lookup);

#endif
