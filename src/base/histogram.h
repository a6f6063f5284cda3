/* A histogram of time spans with fixed bounds; any thread may count. */
#ifndef BASE_HISTOGRAM_H
#define BASE_HISTOGRAM_H

#include <stddef.h>
#include <stdint.h>

#include "base/counter.h"

/* The last bucket has no bound. */
#define HISTOGRAM_STEPS 17

struct histogram {
	struct counter steps[HISTOGRAM_STEPS]; /* not cumulative */
	struct counter sum;		       /* nanoseconds */
};

/* The upper bound of a bucket in nanoseconds: 100 ns to 1 s; INT64_MAX for the last. */
int64_t histogram_bound(size_t step);

/* Counts a span in nanoseconds; a negative one counts as 0. */
void histogram_count(struct histogram *histogram, int64_t span);

/* Adds the counts of part. */
void histogram_add(struct histogram *sum, const struct histogram *part);

#endif
