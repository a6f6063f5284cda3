#include "client/round.h"

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
struct place {
	struct address addresses[RESOLVE_LIMIT];
	size_t count;
};

static void set_stage(struct round_part *part, enum round_stage stage)
{
	struct round *round = part->round;

	pthread_mutex_lock(&round->lock);
	part->stage = stage;
	pthread_cond_signal(&round->progress);
	pthread_mutex_unlock(&round->lock);
}

static void take_sample(struct round_part *part, struct place *place, struct sample *sample)
{
	const struct round_plan *plan = part->round->plan;
	const struct target *target = part->target;
	struct query query = {
		.addresses = place->addresses,
		.deadline = part->deadline,
		.timeout = part->hastened ? NULL : plan->timeout_text,
	};
	const char *problem = NULL;

	*sample = (struct sample){ .valid = false };
	if (place->count == 0)
		problem = resolve_host(place->addresses, &place->count, target->host, target->port,
				       plan->family);
	query.address_count = place->count;
	set_stage(part, ROUND_TALK);
	if (problem)
		sample_fail(sample, "%s", problem);
	else
		target->scheme->query(&query, sample);
	if (!sample->valid)
		place->count = 0;
}

/* Adds the sample; while an answer is waited for, only the last one counts. Returns whether there
 * is to be another one. With the lock held. */
static bool add_sample(struct round_part *part, const struct sample *sample)
{
	struct round *round = part->round;
	const struct round_plan *plan = round->plan;

	if (plan->patience > 0)
		part->series = (struct series){ .queries = 0 };
	series_add(&part->series, sample);
	if (plan->sampled)
		plan->sampled(plan->context, (size_t)(part - round->parts), sample);
	if (plan->patience > 0 && sample->valid)
		round_stop(round);
	if (round->stopping)
		return false;
	if (plan->patience > 0)
		return clock_monotonic() + plan->interval < round->patience_end;
	return plan->count == 0 || part->series.queries < plan->count;
}

/* Waits until the moment of the next sample. Returns whether there is to be one. With the lock
 * held. */
static bool await_next(struct round *round, int64_t moment)
{
	struct timespec until = timespan_to_timespec(moment);
	int error = 0;

	while (!round->stopping && error == 0)
		error = pthread_cond_timedwait(&round->ending, &round->lock, &until);
	return !round->stopping;
}

/* A sample gets its time from now on, but no more than patience leaves. */
static void set_deadline(struct round_part *part)
{
	const struct round *round = part->round;

	part->deadline = clock_monotonic() + round->plan->timeout;
	part->hastened = round->plan->patience > 0 && round->patience_end < part->deadline;
	if (part->hastened)
		part->deadline = round->patience_end;
}

static void *query_target(void *argument)
{
	struct round_part *part = argument;
	struct round *round = part->round;
	struct place place = { .count = 0 };
	struct sample sample;
	bool more;

	do {
		int64_t next = clock_monotonic() + round->plan->interval;

		take_sample(part, &place, &sample);
		pthread_mutex_lock(&round->lock);
		more = add_sample(part, &sample) && await_next(round, next);
		part->stage = more ? ROUND_LOOKUP : ROUND_DONE;
		set_deadline(part);
		pthread_cond_signal(&round->progress);
		pthread_mutex_unlock(&round->lock);
	} while (more);
	return NULL;
}

static void start_part(struct round_part *part, const pthread_attr_t *attributes)
{
	struct sample sample = { .valid = false };
	int error = pthread_create(&part->thread, attributes, query_target, part);

	part->running = error == 0;
	if (part->running)
		return;
	part->stage = ROUND_DONE;
	sample_fail(&sample, "cannot start a thread: %s", strerror(error));
	series_add(&part->series, &sample);
	if (part->round->plan->sampled)
		part->round->plan->sampled(part->round->plan->context,
					   (size_t)(part - part->round->parts), &sample);
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

int round_start(struct round *round, const struct round_plan *plan, const struct target *targets,
		size_t count)
{
	int64_t now = clock_monotonic();
	pthread_attr_t attributes;
	int error = pthread_mutex_init(&round->lock, NULL);

	if (error == 0)
		error = open_condition(&round->progress);
	if (error == 0)
		error = open_condition(&round->ending);
	if (error == 0)
		error = pthread_attr_init(&attributes);
	if (error != 0)
		return error;
	error = pthread_attr_setstacksize(&attributes, STACK_SIZE);
	round->plan = plan;
	round->patience_end = now + plan->patience;
	round->count = count;
	for (size_t i = 0; i < count && error == 0; i++) {
		round->parts[i] = (struct round_part){
			.round = round,
			.target = &targets[i],
		};
		set_deadline(&round->parts[i]);
		start_part(&round->parts[i], &attributes);
	}
	pthread_attr_destroy(&attributes);
	return error;
}

/* The moment until when a part is waited for at its stage. A look-up may be stuck for longer than
 * its sample has time; whoever watches has all the time there is. */
static int64_t limit_of(const struct round *round, const struct round_part *part)
{
	if (round->stopping && round->plan->patience > 0)
		return round->stop_end;
	if (part->stage != ROUND_LOOKUP || round->plan->sampled)
		return INT64_MAX;
	return round->plan->patience > 0 ? round->patience_end : part->deadline;
}

/* Waits until the part is done. Returns whether it was in time. With the lock held. */
static bool await_part(struct round *round, const struct round_part *part)
{
	while (part->stage != ROUND_DONE) {
		int64_t limit = limit_of(round, part);
		struct timespec until = timespan_to_timespec(limit);

		if (clock_monotonic() >= limit)
			return false;
		pthread_cond_timedwait(&round->progress, &round->lock, &until);
	}
	return true;
}

void round_wait(struct round *round, size_t index, struct series *series)
{
	struct round_part *part = &round->parts[index];
	struct sample late = { .valid = false };
	bool done;

	pthread_mutex_lock(&round->lock);
	done = await_part(round, part);
	*series = part->series;
	pthread_mutex_unlock(&round->lock);
	if (!done) {
		bool short_of_time = round->plan->patience > 0;

		sample_fail_errno(&late, ETIME, short_of_time ? NULL : round->plan->timeout_text,
				  NULL, 0);
		series_add(series, &late);
	} else if (part->running && pthread_join(part->thread, NULL) == 0) {
		part->running = false;
	}
}

void round_stop(struct round *round)
{
	if (!round->stopping)
		round->stop_end = clock_monotonic() + STOP_GRACE;
	round->stopping = true;
	pthread_cond_broadcast(&round->ending);
	pthread_cond_broadcast(&round->progress);
}

bool round_end(struct round *round)
{
	bool finished = true;

	for (size_t i = 0; i < round->count; i++) {
		if (round->parts[i].running) {
			pthread_detach(round->parts[i].thread);
			finished = false;
		}
	}
	return finished;
}
