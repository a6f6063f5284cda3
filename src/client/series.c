#include "client/series.h"

#include <stdbool.h>
#include <string.h>

static bool is_better(const struct ask_answer *sample, const struct ask_answer *best)
{
	if (sample->valid != best->valid)
		return sample->valid;
	if (sample->timed != best->timed)
		return sample->timed;
	return !sample->timed || sample->delay < best->delay;
}

static void add_offset(struct series *series, const struct ask_answer *sample)
{
	bool first = !series->best.timed;

	if (first || sample->offset < series->lowest)
		series->lowest = sample->offset;
	if (first || sample->offset > series->highest)
		series->highest = sample->offset;
}

void series_add(struct series *series, const struct ask_answer *sample)
{
	struct ask_refusal refused[ASK_REFUSALS];

	series->asked++;
	series->answered += sample->valid;
	if (sample->timed)
		add_offset(series, sample);
	ask_add_refused(&series->best, sample);
	if (!is_better(sample, &series->best))
		return;
	memcpy(refused, series->best.refused, sizeof(refused));
	series->best = *sample;
	memcpy(series->best.refused, refused, sizeof(refused));
}

int64_t series_spread(const struct series *series)
{
	return series->highest - series->lowest;
}
