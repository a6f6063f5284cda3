#include "client/result.h"

#include "client/survey.h"

/* Returns how many intervals contain point, and sets end to the lowest of their ends. */
static size_t count_at(const struct result_interval *intervals, size_t count, int64_t point,
		       int64_t *end)
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

/* An intersection begins where one of its intervals begins, so only these points are tried. */
size_t result_intersect(const struct result_interval *intervals, size_t count,
			struct result_interval *common)
{
	size_t best = 0;

	for (size_t i = 0; i < count; i++) {
		struct result_interval candidate = { .low = intervals[i].low };
		size_t found = count_at(intervals, count, candidate.low, &candidate.high);

		if (found > best || (found == best && candidate.low < common->low)) {
			best = found;
			*common = candidate;
		}
	}
	return best;
}

struct result_agreement result_compare(struct result *results, size_t count)
{
	struct result_interval intervals[SURVEY_TARGETS_MAX] = { 0 }, common = { 0 };
	struct result_agreement agreement = { .total = 0 };

	for (size_t i = 0; i < count; i++) {
		const struct sample *best = &results[i].series.best;

		if (best->has_offset)
			intervals[agreement.total++] = (struct result_interval){
				.low = best->offset - best->bound,
				.high = best->offset + best->bound,
			};
	}
	agreement.agreeing = result_intersect(intervals, agreement.total, &common);
	if (2 * agreement.agreeing <= agreement.total) {
		agreement.agreeing = 0;
		return agreement;
	}
	agreement.bound = (common.high - common.low) / 2;
	agreement.offset = common.low + agreement.bound;
	for (size_t i = 0; i < count; i++) {
		const struct sample *best = &results[i].series.best;

		results[i].falseticker =
			best->has_offset && (best->offset - best->bound > common.high ||
					     best->offset + best->bound < common.low);
	}
	return agreement;
}
