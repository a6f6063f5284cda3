/* The samples of one target, and what they come to. */
#ifndef CLIENT_SERIES_H
#define CLIENT_SERIES_H

#include <stdint.h>

#include "client/query.h"

struct series {
	unsigned queries, replies;
	/* The best sample, with what all of them refused; as long as there is no valid one, the
	 * last. */
	struct sample best;
	int64_t lowest, highest; /* offsets of all that told one */
};

/* Adds a sample, to a series that begins zeroed. The best one is the timed one with the least
 * delay: what the network can have done to it is least. Of those that tell no time it is the
 * last. */
void series_add(struct series *series, const struct sample *sample);

/* How far the offsets are apart, in nanoseconds. */
int64_t series_spread(const struct series *series);

#endif
