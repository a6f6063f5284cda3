/* A round: all targets asked at once, a thread each, since a look-up of a name blocks without
 * limit.
 *
 * A thread works on memory of its own and hands its answer over under the lock. One that is
 * still looking its name up at the deadline is given up and may go on for as long as the process
 * does: so a round, and the targets and the text that it was given, have to stay where they are
 * until the end, in static memory. */
#ifndef CLIENT_ROUND_H
#define CLIENT_ROUND_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/ask.h"
#include "client/target.h"

#define ROUND_LIMIT 256 /* targets */

enum round_stage {
	ROUND_LOOKUP, /* may be stuck */
	ROUND_TALK,   /* ends by the deadline */
	ROUND_DONE,
};

struct round;

/* One target's part. */
struct round_part {
	struct round *round;
	const struct target *target;
	bool running; /* there is a thread to be joined or left; the main thread's */
	pthread_t thread;
	enum round_stage stage;	  /* under the lock */
	struct ask_answer answer; /* under the lock; final once done */
};

struct round {
	pthread_mutex_t lock;
	pthread_cond_t progress; /* a stage has changed */
	int family;
	const char *timeout;
	int64_t deadline;
	size_t count; /* of parts */
	struct round_part parts[ROUND_LIMIT];
};

/* Starts asking count (at most ROUND_LIMIT) targets over a family of addresses (AF_UNSPEC: both).
 * They have span nanoseconds, which for messages is written timeout seconds. Returns 0 or an errno
 * value. */
int round_start(struct round *round, const struct target *targets, size_t count, int family,
		int64_t span, const char *timeout);

/* Waits for the answer of the target at index, at most until the deadline. To be called once for
 * each. */
void round_wait(struct round *round, size_t index, struct ask_answer *answer);

/* Leaves to themselves the threads that have not finished, or were not waited for. Returns whether
 * there are none. If there are, the process has to end by _exit: exit would run the last handlers
 * of libraries that these threads are still in. */
bool round_end(struct round *round);

#endif
