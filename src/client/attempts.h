/* Parallel attempts to reach a server at one of its addresses (RFC 8305). The caller defines what
 * an attempt is: a TCP connection or a UDP request. */
#ifndef CLIENT_ATTEMPTS_H
#define CLIENT_ATTEMPTS_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/address.h"
#include "client/resolve.h"

#define ATTEMPTS_MAX (2 * RESOLVE_MAX)

struct attempts;

struct attempts_ops {
	short events; /* to poll an attempt for */

	/* Nanoseconds after which the addresses that have not failed are tried again, doubled each
	 * time; 0: never. */
	int64_t retry_after;

	/* Starts attempt number index. Returns a descriptor, or a negated errno value. */
	int (*start)(struct attempts *attempts, size_t index, const struct address *address);

	/* Called when an attempt is ready. Returns 0 for success, EAGAIN to continue, or another
	 * errno value for a failure. */
	int (*check)(struct attempts *attempts, size_t index, int descriptor);
};

struct attempts {
	const struct attempts_ops *ops;
	const struct address *addresses; /* 1 to RESOLVE_MAX, in order of preference */
	size_t address_count;
	int64_t deadline; /* monotonic; check may bring it forward */
	bool one_pass;	  /* no retries; check may set it */

	bool failed[RESOLVE_MAX]; /* addresses not to be tried again */
	size_t count;		  /* attempts started */
	size_t running;
	struct pollfd polls[ATTEMPTS_MAX]; /* fd -1: the attempt has failed */
	int64_t start_times[ATTEMPTS_MAX]; /* monotonic, as next_start */
	int64_t next_start;
	int64_t retry_delay; /* before the next pass */
	int error;	     /* the most significant failure */
};

/* Makes attempts until one succeeds. The members up to one_pass are set, the others zero. The next
 * attempt starts when the last one fails, or 250 ms after it. Returns 0 and the number of the
 * successful attempt, or an errno value: ETIME at the deadline, else the most significant failure.
 * To be followed by attempts_close. */
int attempts_run(struct attempts *attempts, size_t *winner);

/* The address of attempt number index. */
const struct address *attempts_address(const struct attempts *attempts, size_t index);

/* Starts the next address without the delay. */
void attempts_start_next_now(struct attempts *attempts);

/* Closes all descriptors but that of attempt keep; ATTEMPTS_MAX: all. */
void attempts_close(struct attempts *attempts, size_t keep);

#endif
