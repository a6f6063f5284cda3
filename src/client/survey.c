#include "client/survey.h"

#include <errno.h>
#include <string.h>

#include "client/resolve.h"
#include "client/timespan.h"

/* What the C library's look-ups are content with, many times over, and 256 of them are still
 * little. */
#define STACK_SIZE (256 * 1024)

/* Once one answer is enough, others that are about to come are taken, too. */
#define STOP_GRACE (200 * CLOCK_MILLISECOND)

/* Where the server is; found anew after it has not answered. */
struct lookup {
	struct address addresses[RESOLVE_LIMIT];
	size_t count;
};

static void set_stage(struct survey_job *job, enum survey_stage stage)
{
	struct survey *survey = job->survey;

	pthread_mutex_lock(&survey->lock);
	job->stage = stage;
	pthread_cond_signal(&survey->progress);
	pthread_mutex_unlock(&survey->lock);
}

static void take_sample(struct survey_job *job, struct lookup *lookup, struct sample *sample)
{
	const struct survey_plan *plan = job->survey->plan;
	const struct target *target = job->target;
	struct query query = {
		.addresses = lookup->addresses,
		.deadline = job->deadline,
		.timeout = job->hastened ? NULL : plan->timeout_text,
	};
	const char *problem = NULL;

	*sample = (struct sample){ .valid = false };
	if (lookup->count == 0)
		problem = resolve_host(lookup->addresses, &lookup->count, target->host,
				       target->port, plan->family);
	query.address_count = lookup->count;
	set_stage(job, SURVEY_QUERY);
	if (problem)
		sample_fail(sample, "%s", problem);
	else
		target->scheme->query(&query, sample);
	if (!sample->valid)
		lookup->count = 0;
}

/* Adds the sample; while an answer is waited for, only the last one counts. Returns whether there
 * is to be another one. With the lock held. */
static bool add_sample(struct survey_job *job, const struct sample *sample)
{
	struct survey *survey = job->survey;
	const struct survey_plan *plan = survey->plan;

	if (plan->patience > 0)
		job->series = (struct sample_series){ .queries = 0 };
	sample_series_add(&job->series, sample);
	if (plan->on_sample)
		plan->on_sample(plan->context, (size_t)(job - survey->jobs), sample);
	if (plan->patience > 0 && sample->valid)
		survey_stop(survey);
	if (survey->stopping)
		return false;
	if (plan->patience > 0)
		return clock_monotonic() + plan->interval < survey->patience_end;
	return plan->count == 0 || job->series.queries < plan->count;
}

/* Waits until the moment of the next sample. Returns whether there is to be one. With the lock
 * held. */
static bool await_next(struct survey *survey, int64_t moment)
{
	struct timespec until = timespan_to_timespec(moment);
	int error = 0;

	while (!survey->stopping && error == 0)
		error = pthread_cond_timedwait(&survey->ending, &survey->lock, &until);
	return !survey->stopping;
}

/* A sample gets its time from now on, but no more than patience leaves. */
static void set_deadline(struct survey_job *job)
{
	const struct survey *survey = job->survey;

	job->deadline = clock_monotonic() + survey->plan->timeout;
	job->hastened = survey->plan->patience > 0 && survey->patience_end < job->deadline;
	if (job->hastened)
		job->deadline = survey->patience_end;
}

static void *query_target(void *argument)
{
	struct survey_job *job = argument;
	struct survey *survey = job->survey;
	struct lookup lookup = { .count = 0 };
	struct sample sample;
	bool more;

	do {
		int64_t next = clock_monotonic() + survey->plan->interval;

		take_sample(job, &lookup, &sample);
		pthread_mutex_lock(&survey->lock);
		more = add_sample(job, &sample) && await_next(survey, next);
		job->stage = more ? SURVEY_LOOKUP : SURVEY_DONE;
		set_deadline(job);
		pthread_cond_signal(&survey->progress);
		pthread_mutex_unlock(&survey->lock);
	} while (more);
	return NULL;
}

static void start_job(struct survey_job *job, const pthread_attr_t *attributes)
{
	struct sample sample = { .valid = false };
	int error = pthread_create(&job->thread, attributes, query_target, job);

	job->running = error == 0;
	if (job->running)
		return;
	job->stage = SURVEY_DONE;
	sample_fail(&sample, "cannot start a thread: %s", strerror(error));
	sample_series_add(&job->series, &sample);
	if (job->survey->plan->on_sample)
		job->survey->plan->on_sample(job->survey->plan->context,
					     (size_t)(job - job->survey->jobs), &sample);
}

/* Deadlines are on the monotonic clock, so the conditions have to be too. */
static int open_condition(pthread_cond_t *condition)
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
	int64_t now = clock_monotonic();
	pthread_attr_t attributes;
	int error = pthread_mutex_init(&survey->lock, NULL);

	if (error == 0)
		error = open_condition(&survey->progress);
	if (error == 0)
		error = open_condition(&survey->ending);
	if (error == 0)
		error = pthread_attr_init(&attributes);
	if (error != 0)
		return error;
	error = pthread_attr_setstacksize(&attributes, STACK_SIZE);
	survey->plan = plan;
	survey->patience_end = now + plan->patience;
	survey->count = count;
	for (size_t i = 0; i < count && error == 0; i++) {
		survey->jobs[i] = (struct survey_job){
			.survey = survey,
			.target = &targets[i],
		};
		set_deadline(&survey->jobs[i]);
		start_job(&survey->jobs[i], &attributes);
	}
	pthread_attr_destroy(&attributes);
	return error;
}

/* The moment until when a part is waited for at its stage. A look-up may be stuck for longer than
 * its sample has time; whoever watches has all the time there is. */
static int64_t limit_of(const struct survey *survey, const struct survey_job *job)
{
	if (survey->stopping && survey->plan->patience > 0)
		return survey->stop_end;
	if (job->stage != SURVEY_LOOKUP || survey->plan->on_sample)
		return INT64_MAX;
	return survey->plan->patience > 0 ? survey->patience_end : job->deadline;
}

/* Waits until the part is done. Returns whether it was in time. With the lock held. */
static bool await_job(struct survey *survey, const struct survey_job *job)
{
	while (job->stage != SURVEY_DONE) {
		int64_t limit = limit_of(survey, job);
		struct timespec until = timespan_to_timespec(limit);

		if (clock_monotonic() >= limit)
			return false;
		pthread_cond_timedwait(&survey->progress, &survey->lock, &until);
	}
	return true;
}

void survey_wait(struct survey *survey, size_t index, struct sample_series *series)
{
	struct survey_job *job = &survey->jobs[index];
	struct sample late = { .valid = false };
	bool done;

	pthread_mutex_lock(&survey->lock);
	done = await_job(survey, job);
	*series = job->series;
	pthread_mutex_unlock(&survey->lock);
	if (!done) {
		bool short_of_time = survey->plan->patience > 0;

		sample_fail_errno(&late, ETIME, short_of_time ? NULL : survey->plan->timeout_text,
				  NULL, 0);
		sample_series_add(series, &late);
	} else if (job->running && pthread_join(job->thread, NULL) == 0) {
		job->running = false;
	}
}

void survey_stop(struct survey *survey)
{
	if (!survey->stopping)
		survey->stop_end = clock_monotonic() + STOP_GRACE;
	survey->stopping = true;
	pthread_cond_broadcast(&survey->ending);
	pthread_cond_broadcast(&survey->progress);
}

bool survey_end(struct survey *survey)
{
	bool finished = true;

	for (size_t i = 0; i < survey->count; i++) {
		if (survey->jobs[i].running) {
			pthread_detach(survey->jobs[i].thread);
			finished = false;
		}
	}
	return finished;
}
