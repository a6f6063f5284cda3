#include "base/histogram.h"

#define MICROSECOND INT64_C(1000)
#define MILLISECOND (1000 * MICROSECOND)
#define SECOND	    (1000 * MILLISECOND)

static const int64_t bounds[HISTOGRAM_STEPS] = {
	100,
	250,
	500,
	1 * MICROSECOND,
	5 * MICROSECOND / 2,
	5 * MICROSECOND,
	10 * MICROSECOND,
	25 * MICROSECOND,
	50 * MICROSECOND,
	100 * MICROSECOND,
	250 * MICROSECOND,
	500 * MICROSECOND,
	1 * MILLISECOND,
	10 * MILLISECOND,
	100 * MILLISECOND,
	1 * SECOND,
	INT64_MAX,
};

int64_t histogram_bound(size_t step)
{
	return bounds[step];
}

void histogram_count(struct histogram *histogram, int64_t span)
{
	size_t step = 0;

	if (span < 0)
		span = 0;
	while (span > bounds[step])
		step++;
	counter_add_shared(&histogram->steps[step], 1);
	counter_add_shared(&histogram->sum, (uint64_t)span);
}

void histogram_add(struct histogram *sum, const struct histogram *part)
{
	for (size_t i = 0; i < HISTOGRAM_STEPS; i++)
		counter_add(&sum->steps[i], counter_read(&part->steps[i]));
	counter_add(&sum->sum, counter_read(&part->sum));
}
