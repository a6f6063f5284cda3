/* A race between attempts to reach a server at one of its addresses, so that none is waited for in
 * turn (RFC 8305). What an attempt is, the caller says: a connection, or a question by UDP. */
#ifndef CLIENT_ATTEMPTS_H
#define CLIENT_ATTEMPTS_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/address.h"
#include "client/resolve.h"

#define ATTEMPTS_MAX (2 * RESOLVE_LIMIT) /* attempts */

struct attempts;

struct attempts_ops {
	short events; /* what an attempt is polled for */

	/* After all addresses were tried, those that have not failed are tried again so much later,
	 * in nanoseconds, then twice as much later, and so on. 0: each is tried once. */
	int64_t retry_after;

	/* Begins attempt number index. Returns a descriptor, or the negative of an errno value. */
	int (*start)(struct attempts *attempts, size_t index, const struct address *address);

	/* Looks at an attempt that is ready. Returns 0 if it has won, EAGAIN if it goes on, or why
	 * it has failed, an errno value. */
	int (*check)(struct attempts *attempts, size_t index, int descriptor);
};

struct attempts {
	const struct attempts_ops *ops;
	const struct address *addresses; /* 1 to RESOLVE_LIMIT, the best first */
	size_t address_count;
	int64_t deadline; /* a moment; may be brought forward by check */
	bool one_pass;	  /* no address is tried again; may be set by check */

	bool failed[RESOLVE_LIMIT];	   /* addresses not to be tried again */
	size_t count;			   /* attempts; the next one's number */
	size_t running;			   /* of them */
	struct pollfd polls[ATTEMPTS_MAX]; /* fd -1: it has failed */
	int64_t start_times[ATTEMPTS_MAX]; /* moments */
	int64_t next_start;		   /* the moment for the next attempt */
	int64_t retry_delay;		   /* how long after the last address comes the first */
	int error;			   /* the most telling failure so far */
};

/* Runs a race of which the members up to one_pass are set, all others zero: the next attempt begins as
 * soon as the one before it fails, or after a quarter of a second while that one goes on. Returns 0
 * and the winner's number, or an errno value: ETIME when the deadline came first, else the most
 * telling failure. What was begun is to be closed by attempts_close. */
int attempts_run(struct attempts *attempts, size_t *winner);

/* The address of attempt number index. */
const struct address *attempts_address(const struct attempts *attempts, size_t index);

/* The next address is not to wait for its turn: those that run have little to offer. */
void attempts_start_next_now(struct attempts *attempts);

/* Closes the descriptors of all attempts but keep; ATTEMPTS_MAX: of all. */
void attempts_close(struct attempts *attempts, size_t keep);

#endif
