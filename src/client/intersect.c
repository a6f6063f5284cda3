#include "client/intersect.h"

/* The intervals that hold point, and where the first of them ends. */
static size_t count_at(const struct interval *intervals, size_t count, int64_t point, int64_t *end)
{
	size_t found = 0;

	for (size_t i = 0; i < count; i++) {
		if (intervals[i].low > point || intervals[i].high < point)
			continue;
		if (found == 0 || intervals[i].high < *end)
			*end = intervals[i].high;
		found++;
	}
	return found;
}

/* What most have in common begins where one of them begins. */
size_t intersect(const struct interval *intervals, size_t count, struct interval *common)
{
	size_t best = 0;

	for (size_t i = 0; i < count; i++) {
		struct interval candidate = { .low = intervals[i].low };
		size_t found = count_at(intervals, count, candidate.low, &candidate.high);

		if (found > best || (found == best && candidate.low < common->low)) {
			best = found;
			*common = candidate;
		}
	}
	return best;
}
