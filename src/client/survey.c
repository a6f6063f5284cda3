#include "client/survey.h"

#include <errno.h>
#include <string.h>

#include "client/query.h"
#include "client/resolve.h"
#include "client/timespan.h"

#define INTERVAL_MAX (CLOCK_DAY * CLOCK_SECOND) /* doubled no further */
#define STACK_SIZE   (256 * 1024)		/* many times what a look-up needs */

struct lookup {
	struct address addresses[RESOLVE_MAX];
	size_t count; /* 0: to be looked up */
	struct query_denied denied;
};

static void set_stage(struct survey_job *job, enum survey_stage stage)
{
	struct survey *survey = job->survey;

	pthread_mutex_lock(&survey->lock);
	job->stage = stage;
	pthread_cond_signal(&survey->progress);
	pthread_mutex_unlock(&survey->lock);
}

static bool has_denied(const struct query_denied *denied, const struct address *address)
{
	for (size_t i = 0; i < denied->count && i < RESOLVE_MAX; i++) {
		if (address_equal(&denied->addresses[i], address))
			return true;
	}
	return false;
}

/* Removes the addresses that have denied access. Returns whether any is left. */
static bool remove_denied(struct lookup *lookup)
{
	size_t kept = 0;

	for (size_t i = 0; i < lookup->count; i++) {
		if (!has_denied(&lookup->denied, &lookup->addresses[i]))
			lookup->addresses[kept++] = lookup->addresses[i];
	}
	lookup->count = kept;
	return kept > 0;
}

/* The addresses are kept until a query fails. */
static void take_sample(struct survey_job *job, struct lookup *lookup, struct sample *sample)
{
	const struct survey_plan *plan = job->survey->plan;
	const struct target *target = job->target;
	struct query query = {
		.addresses = lookup->addresses,
		.deadline = job->deadline,
		.timeout = plan->timeout_text,
		.denied = &lookup->denied,
	};
	const char *problem = NULL;
	bool known;

	*sample = (struct sample){ .valid = false };
	if (lookup->count == 0)
		problem = resolve_host(lookup->addresses, &lookup->count, target->host,
				       target->port, plan->family);
	known = !problem;
	if (known && !remove_denied(lookup))
		problem = "every address has denied access";
	query.address_count = lookup->count;
	set_stage(job, SURVEY_QUERY);
	if (problem)
		sample_fail(sample, "%s", problem);
	else
		target->scheme->query(&query, sample);
	sample->denied = known && !sample->valid && !remove_denied(lookup);
	if (!sample->valid)
		lookup->count = 0;
}

/* With the lock held. */
static void add_sample(struct survey_job *job, const struct sample *sample)
{
	struct survey *survey = job->survey;
	const struct survey_plan *plan = survey->plan;

	sample_series_add(&job->series, sample);
	if (sample->rate_limited)
		job->interval = job->interval < INTERVAL_MAX / 2 ? 2 * job->interval : INTERVAL_MAX;
	if (plan->on_sample)
		plan->on_sample(plan->context, (size_t)(job - survey->jobs), sample);
}

/* Waits for the start of the next sample. Returns whether there is one. With the lock held. */
static bool await_next(const struct survey_job *job, int64_t start)
{
	struct survey *survey = job->survey;
	struct timespec until = timespan_to_timespec(start);
	int error = 0;

	if (job->series.best.denied)
		return false;
	if (survey->plan->count > 0 && job->series.queries >= survey->plan->count)
		return false;
	while (!survey->stopping && error == 0)
		error = pthread_cond_timedwait(&survey->ending, &survey->lock, &until);
	return !survey->stopping;
}

static void *run_job(void *argument)
{
	struct survey_job *job = argument;
	struct survey *survey = job->survey;
	const struct survey_plan *plan = survey->plan;
	struct lookup lookup = { .count = 0 };
	struct sample sample;
	bool more;

	do {
		int64_t start = clock_monotonic();

		take_sample(job, &lookup, &sample);
		pthread_mutex_lock(&survey->lock);
		add_sample(job, &sample);
		more = await_next(job, start + job->interval);
		job->stage = more ? SURVEY_LOOKUP : SURVEY_DONE;
		job->deadline = clock_monotonic() + plan->timeout;
		pthread_cond_signal(&survey->progress);
		pthread_mutex_unlock(&survey->lock);
	} while (more);
	return NULL;
}

static void start_job(struct survey_job *job, const pthread_attr_t *attributes)
{
	struct sample sample = { .valid = false };
	int error = pthread_create(&job->thread, attributes, run_job, job);

	job->has_thread = error == 0;
	if (job->has_thread)
		return;
	sample_fail(&sample, "cannot start a thread: %s", strerror(error));
	pthread_mutex_lock(&job->survey->lock);
	job->stage = SURVEY_DONE;
	add_sample(job, &sample);
	pthread_mutex_unlock(&job->survey->lock);
}

/* A condition with time-outs on the monotonic clock. */
static int init_condition(pthread_cond_t *condition)
{
	pthread_condattr_t attributes;
	int error = pthread_condattr_init(&attributes);

	if (error != 0)
		return error;
	error = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	if (error == 0)
		error = pthread_cond_init(condition, &attributes);
	pthread_condattr_destroy(&attributes);
	return error;
}

int survey_start(struct survey *survey, const struct survey_plan *plan,
		 const struct target *targets, size_t count)
{
	pthread_attr_t attributes;
	int error = pthread_mutex_init(&survey->lock, NULL);

	if (error == 0)
		error = init_condition(&survey->progress);
	if (error == 0)
		error = init_condition(&survey->ending);
	if (error == 0)
		error = pthread_attr_init(&attributes);
	if (error != 0)
		return error;
	error = pthread_attr_setstacksize(&attributes, STACK_SIZE);
	survey->plan = plan;
	survey->count = count;
	for (size_t i = 0; i < count && error == 0; i++) {
		survey->jobs[i] = (struct survey_job){
			.survey = survey,
			.target = &targets[i],
			.deadline = clock_monotonic() + plan->timeout,
			.interval = plan->interval,
		};
		start_job(&survey->jobs[i], &attributes);
	}
	pthread_attr_destroy(&attributes);
	return error;
}

/* Waits until a stage has changed or until limit. With the lock held. */
static void await_progress(struct survey *survey, int64_t limit)
{
	struct timespec until = timespan_to_timespec(limit);

	pthread_cond_timedwait(&survey->progress, &survey->lock, &until);
}

/* Returns whether the job is done, or else blocked in a look-up. With the lock held. */
static bool await_job(struct survey *survey, const struct survey_job *job)
{
	while (job->stage != SURVEY_DONE) {
		int64_t limit = job->stage == SURVEY_LOOKUP ? job->deadline : INT64_MAX;

		if (clock_monotonic() >= limit)
			return false;
		await_progress(survey, limit);
	}
	return true;
}

void survey_wait(struct survey *survey, size_t index, struct sample_series *series)
{
	const struct survey_job *job = &survey->jobs[index];
	struct sample late = { .valid = false };
	bool done;

	pthread_mutex_lock(&survey->lock);
	done = await_job(survey, job);
	*series = job->series;
	pthread_mutex_unlock(&survey->lock);
	if (!done) {
		sample_fail_errno(&late, ETIME, survey->plan->timeout_text, NULL, 0);
		sample_series_add(series, &late);
	}
}

bool survey_is_done(const struct survey *survey)
{
	for (size_t i = 0; i < survey->count; i++) {
		if (survey->jobs[i].stage != SURVEY_DONE)
			return false;
	}
	return true;
}

void survey_wait_all(struct survey *survey, const int64_t *limit)
{
	while (!survey_is_done(survey) && clock_monotonic() < *limit)
		await_progress(survey, *limit);
}

void survey_stop(struct survey *survey)
{
	survey->stopping = true;
	pthread_cond_broadcast(&survey->ending);
	pthread_cond_broadcast(&survey->progress);
}

bool survey_end(struct survey *survey)
{
	bool all_done = true;

	for (size_t i = 0; i < survey->count; i++) {
		struct survey_job *job = &survey->jobs[i];
		bool done;

		pthread_mutex_lock(&survey->lock);
		done = job->stage == SURVEY_DONE;
		pthread_mutex_unlock(&survey->lock);
		if (job->has_thread && done)
			pthread_join(job->thread, NULL);
		else if (job->has_thread)
			pthread_detach(job->thread);
		all_done = all_done && done;
	}
	return all_done;
}
