#include "client/series.h"

#include <stdbool.h>
#include <string.h>

static bool is_better(const struct sample *sample, const struct sample *best)
{
	if (sample->valid != best->valid)
		return sample->valid;
	if (sample->has_offset != best->has_offset)
		return sample->has_offset;
	return !sample->has_offset || sample->delay < best->delay;
}

static void add_offset(struct series *series, const struct sample *sample)
{
	bool first = !series->best.has_offset;

	if (first || sample->offset < series->lowest)
		series->lowest = sample->offset;
	if (first || sample->offset > series->highest)
		series->highest = sample->offset;
}

void series_add(struct series *series, const struct sample *sample)
{
	struct sample_rejection rejected[SAMPLE_REJECTIONS_MAX];

	series->queries++;
	series->replies += sample->valid;
	if (sample->has_offset)
		add_offset(series, sample);
	sample_add_rejected(&series->best, sample);
	if (!is_better(sample, &series->best))
		return;
	memcpy(rejected, series->best.rejected, sizeof(rejected));
	series->best = *sample;
	memcpy(series->best.rejected, rejected, sizeof(rejected));
}

int64_t series_spread(const struct series *series)
{
	return series->highest - series->lowest;
}
