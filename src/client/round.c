#include "client/round.h"

#include <errno.h>
#include <string.h>

#include "client/moment.h"
#include "client/resolve.h"

/* What the C library's look-ups are content with, many times over, and 256 of them are still
 * little. */
#define STACK_SIZE (256 * 1024)

static void set_stage(struct round_part *part, enum round_stage stage,
		      const struct ask_answer *answer)
{
	struct round *round = part->round;

	pthread_mutex_lock(&round->lock);
	part->stage = stage;
	if (answer)
		part->answer = *answer;
	pthread_cond_signal(&round->progress);
	pthread_mutex_unlock(&round->lock);
}

static void *ask_target(void *argument)
{
	struct round_part *part = argument;
	const struct round *round = part->round;
	const struct target *target = part->target;
	struct address addresses[RESOLVE_LIMIT];
	struct ask_question question = {
		.addresses = addresses,
		.deadline = round->deadline,
		.timeout = round->timeout,
	};
	struct ask_answer answer = { .valid = false };
	const char *problem = resolve_host(addresses, &question.address_count, target->host,
					   target->port, round->family);

	set_stage(part, ROUND_TALK, NULL);
	if (problem)
		ask_fail(&answer, "%s", problem);
	else
		target->scheme->ask(&question, &answer);
	set_stage(part, ROUND_DONE, &answer);
	return NULL;
}

static void start_part(struct round_part *part, const pthread_attr_t *attributes)
{
	int error = pthread_create(&part->thread, attributes, ask_target, part);

	part->running = error == 0;
	if (part->running)
		return;
	part->stage = ROUND_DONE;
	ask_fail(&part->answer, "cannot start a thread: %s", strerror(error));
}

/* Deadlines are on the monotonic clock, so the condition has to be too. */
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

int round_start(struct round *round, const struct target *targets, size_t count, int family,
		int64_t span, const char *timeout)
{
	pthread_attr_t attributes;
	int error = pthread_mutex_init(&round->lock, NULL);

	if (error == 0)
		error = open_condition(&round->progress);
	if (error == 0)
		error = pthread_attr_init(&attributes);
	if (error != 0)
		return error;
	error = pthread_attr_setstacksize(&attributes, STACK_SIZE);
	round->count = count;
	round->family = family;
	round->timeout = timeout;
	round->deadline = clock_monotonic() + span;
	for (size_t i = 0; i < count && error == 0; i++) {
		round->parts[i] = (struct round_part){ .round = round, .target = &targets[i] };
		start_part(&round->parts[i], &attributes);
	}
	pthread_attr_destroy(&attributes);
	return error;
}

/* Waits until the part is done or, at the deadline, still at its look-up. Returns whether it is
 * done. With the lock held. */
static bool await_part(struct round *round, const struct round_part *part)
{
	struct timespec deadline = moment_to_timespec(round->deadline);
	int error = 0;

	while (part->stage != ROUND_DONE && (part->stage != ROUND_LOOKUP || error == 0)) {
		if (part->stage == ROUND_LOOKUP)
			error = pthread_cond_timedwait(&round->progress, &round->lock, &deadline);
		else
			error = pthread_cond_wait(&round->progress, &round->lock);
	}
	return part->stage == ROUND_DONE;
}

void round_wait(struct round *round, size_t index, struct ask_answer *answer)
{
	struct round_part *part = &round->parts[index];
	bool done;

	*answer = (struct ask_answer){ .valid = false };
	pthread_mutex_lock(&round->lock);
	done = await_part(round, part);
	if (done)
		*answer = part->answer;
	else
		ask_fail_at(answer, ETIME, round->timeout, NULL, 0);
	pthread_mutex_unlock(&round->lock);
	if (done && part->running && pthread_join(part->thread, NULL) == 0)
		part->running = false;
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
