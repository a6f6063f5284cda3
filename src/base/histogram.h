/* How often a span of time was how long: counted in steps of a fixed scale, by any thread. */
#ifndef BASE_HISTOGRAM_H
#define BASE_HISTOGRAM_H

#include <stddef.h>
#include <stdint.h>

#include "base/counter.h"

/* The last step has no bound. */
#define HISTOGRAM_STEPS 17

struct histogram {
	struct counter steps[HISTOGRAM_STEPS]; /* each without those below it */
	struct counter sum;		       /* nanoseconds */
};

/* The longest span that a step counts, in nanoseconds: from 100 ns to 1 s; INT64_MAX for the last
 * one. */
int64_t histogram_bound(size_t step);

/* Counts a span of so many nanoseconds; one below zero counts as zero. */
void histogram_count(struct histogram *histogram, int64_t span);

/* Adds what part has counted. */
void histogram_add(struct histogram *sum, const struct histogram *part);

/* How many spans were counted in all. */
uint64_t histogram_total(const struct histogram *histogram);

#endif
