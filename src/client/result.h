/* The result of a survey for one target, and the comparison of all results. */
#ifndef CLIENT_RESULT_H
#define CLIENT_RESULT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/sample.h"
#include "client/target.h"

struct result {
	const struct target *target;
	struct sample_series series;
	bool falseticker; /* outside the interval that the majority agrees on */
};

/* The interval of the true offset if a clock is right: nanoseconds, both ends included. */
struct result_interval {
	int64_t low, high;
};

struct result_agreement {
	size_t total;	 /* results with an offset */
	size_t agreeing; /* the majority of them; 0: there is none */
	int64_t offset,
		bound; /* the middle and half the width of what the majority has in common */
};

/* Sets common to the smallest interval that most of count intervals have in common, and to the
 * lowest of several such: Marzullo's algorithm (RFC 5905 section 11.2.1). Returns how many
 * intervals contain it; 0 only if count is 0. */
size_t result_intersect(const struct result_interval *intervals, size_t count,
			struct result_interval *common);

/* Marks the falsetickers among count results. A majority is more than half of the
 * results with an offset. */
struct result_agreement result_compare(struct result *results, size_t count);

#endif
