#include "client/wait.h"

#include "clock/clock.h"

#define GRACE (200 * CLOCK_MILLISECOND) /* after the first valid sample, for other targets */

struct wait {
	struct survey *survey;
	struct result *results;
	int64_t limit; /* monotonic; under the survey's lock, as over is */
	bool over;     /* results are final */
};

static void on_sample(void *context, size_t index, const struct sample *sample)
{
	struct wait *wait = context;
	int64_t limit = clock_monotonic() + GRACE;

	if (wait->over)
		return;
	wait->results[index].series = (struct sample_series){ .queries = 0 };
	sample_series_add(&wait->results[index].series, sample);
	if (!sample->valid || wait->survey->stopping)
		return;
	if (limit < wait->limit)
		wait->limit = limit;
	survey_stop(wait->survey);
}

int wait_run(struct survey *survey, struct survey_plan *plan, const struct target *targets,
	     size_t count, int64_t timeout, struct result *results)
{
	static struct wait wait; /* threads may outlive this function */
	struct sample none = { .valid = false };
	int error;

	wait.survey = survey;
	wait.results = results;
	wait.limit = clock_monotonic() + timeout;
	plan->count = 0;
	plan->on_sample = on_sample;
	plan->context = &wait;
	error = survey_start(survey, plan, targets, count);
	if (error != 0)
		return error;
	sample_fail(&none, "timed out");
	pthread_mutex_lock(&survey->lock);
	survey_wait_all(survey, &wait.limit);
	survey_stop(survey);
	wait.over = true;
	for (size_t i = 0; i < count; i++) {
		if (results[i].series.queries == 0)
			sample_series_add(&results[i].series, &none);
	}
	pthread_mutex_unlock(&survey->lock);
	return 0;
}
