/* A round: all targets asked at once, a thread each, since a look-up of a name blocks without
 * limit.
 *
 * A thread works on memory of its own and hands its answers over under the lock. One that is
 * still looking its name up at the deadline is given up and may go on for as long as the process
 * does: so a survey, and the targets and the text that it was given, have to stay where they are
 * until the end, in static memory. */
#ifndef CLIENT_SURVEY_H
#define CLIENT_SURVEY_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/query.h"
#include "client/sample.h"
#include "client/target.h"

#define SURVEY_TARGETS_MAX 256 /* targets */

struct survey;

/* What is done with each sample as it comes, by the thread that asked and with the lock held. */
typedef void survey_on_sample(void *context, size_t index, const struct sample *sample);

struct survey_plan {
	int family;		  /* of addresses; AF_UNSPEC: both */
	int64_t timeout;	  /* of a sample, the look-up included, in nanoseconds */
	const char *timeout_text; /* the same in seconds, for messages */
	unsigned count;		  /* samples a target; 0: until the round is stopped */
	int64_t interval;	  /* from the start of one to the start of the next */
	int64_t patience; /* for so long a target without an answer is asked again, until any
				     target has answered; 0: it is not */
	survey_on_sample *on_sample; /* NULL: nothing is */
	void *context;
};

enum survey_stage {
	SURVEY_LOOKUP, /* may be stuck */
	SURVEY_QUERY,  /* ends by the deadline, or by the interval after that */
	SURVEY_DONE,
};

/* One target's job. */
struct survey_job {
	struct survey *survey;
	const struct target *target;
	bool running; /* there is a thread to be joined or left; the main thread's */
	pthread_t thread;
	/* Under the lock: */
	enum survey_stage stage;
	int64_t deadline; /* a moment: of the sample that is being taken */
	bool hastened;	  /* the deadline is that of the patience */
	struct sample_series series;
};

struct survey {
	const struct survey_plan *plan;
	pthread_mutex_t lock;
	pthread_cond_t progress; /* a stage has changed */
	pthread_cond_t ending;	 /* stopping was set */
	bool stopping;		 /* under the lock: no more samples */
	int64_t stop_end;	 /* the moment from when on no part is waited for; with stopping */
	int64_t patience_end;	 /* a moment */
	size_t count;		 /* of parts */
	struct survey_job jobs[SURVEY_TARGETS_MAX];
};

/* Starts asking count (at most SURVEY_TARGETS_MAX) targets. Returns 0 or an errno value. */
int survey_start(struct survey *survey, const struct survey_plan *plan,
		 const struct target *targets, size_t count);

/* Waits until the target at index has no more samples to come, or is stuck in a look-up when its
 * time is up, or has not answered shortly after another one for which all wait; and copies what
 * there is, at least one sample. To be called once for each. */
void survey_wait(struct survey *survey, size_t index, struct sample_series *series);

/* Lets every thread finish its sample, and take no other. To be called with the lock held, as
 * survey_on_sample is. */
void survey_stop(struct survey *survey);

/* Leaves to themselves the threads that have not finished, or were not waited for. Returns whether
 * there are none. If there are, the process has to end by _exit: exit would run the last handlers
 * of libraries that these threads are still in. */
bool survey_end(struct survey *survey);

#endif
