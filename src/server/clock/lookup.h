/* Looks up a name in a thread, so that the caller does not block. */
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

/* Starts to look up host, in a thread with the caller's signal mask. Returns NULL on failure. */
struct lookup *lookup_start(const char *host);

/* Sets address, if any were found, to number which of them, modulo their count, with port. To be
 * called again while it is pending. */
enum lookup_result lookup_poll(struct lookup *lookup, unsigned which, uint16_t port,
			       struct address *address);

/* Frees it, finished or not; NULL is allowed. */
void lookup_release(struct lookup *lookup);

#endif
