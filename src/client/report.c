#include "client/report.h"

#include "client/survey.h"

static struct interval interval_of(const struct report *report)
{
	const struct sample *best = &report->series.best;

	return (struct interval){
		.low = best->offset - best->bound,
		.high = best->offset + best->bound,
	};
}

struct agreement report_compare(struct report *reports, size_t count)
{
	struct interval intervals[SURVEY_TARGETS_MAX] = { 0 };
	struct agreement agreement = { .total = 0 };

	for (size_t i = 0; i < count; i++) {
		if (reports[i].series.best.has_offset)
			intervals[agreement.total++] = interval_of(&reports[i]);
	}
	agreement.agreeing = intersect(intervals, agreement.total, &agreement.span);
	if (2 * agreement.agreeing <= agreement.total) {
		agreement.agreeing = 0;
		return agreement;
	}
	agreement.bound = (agreement.span.high - agreement.span.low) / 2;
	agreement.offset = agreement.span.low + agreement.bound;
	for (size_t i = 0; i < count; i++) {
		struct interval interval = interval_of(&reports[i]);

		reports[i].falseticker = reports[i].series.best.has_offset &&
					 !interval_meets(&interval, &agreement.span);
	}
	return agreement;
}
