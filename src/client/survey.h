/* A survey: all targets queried at once. Each has a thread, since getaddrinfo() blocks without a
 * time limit. A target ends early if all its addresses deny access (RFC 5905 section 7.4).
 *
 * A thread still in a look-up when the survey ends is abandoned and runs as long as the process:
 * the survey, its plan and its targets have to be in static memory. */
#ifndef CLIENT_SURVEY_H
#define CLIENT_SURVEY_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/sample.h"
#include "client/target.h"

#define SURVEY_TARGETS_MAX 256

struct survey;

/* Called with each sample by the thread that took it, with the lock held. */
typedef void survey_on_sample(void *context, size_t index, const struct sample *sample);

struct survey_plan {
	int family;		     /* AF_INET, AF_INET6, or AF_UNSPEC for both */
	int64_t timeout;	     /* of a sample with its look-up, in nanoseconds */
	const char *timeout_text;    /* the same in seconds, for messages */
	unsigned count;		     /* samples per target; 0: until survey_stop */
	int64_t interval;	     /* between samples, until a server asks for fewer of them */
	survey_on_sample *on_sample; /* or NULL */
	void *context;
};

enum survey_stage {
	SURVEY_LOOKUP, /* may block past the deadline */
	SURVEY_QUERY,  /* ends by the deadline */
	SURVEY_DONE,
};

/* The work for one target. */
struct survey_job {
	struct survey *survey;
	const struct target *target;
	pthread_t thread;
	bool has_thread; /* not joined yet; for the main thread only */
	/* Under the lock: */
	enum survey_stage stage;
	int64_t deadline; /* of the current sample */
	int64_t interval; /* from the start of a sample to the start of the next */
	struct sample_series series;
};

struct survey {
	const struct survey_plan *plan;
	pthread_mutex_t lock;
	pthread_cond_t progress; /* a stage has changed, or stopping */
	pthread_cond_t ending;	 /* stopping has changed */
	bool stopping;		 /* under the lock */
	size_t count;		 /* of jobs */
	struct survey_job jobs[SURVEY_TARGETS_MAX];
};

/* Starts to query count (at most SURVEY_TARGETS_MAX) targets. Returns 0 or an errno value. */
int survey_start(struct survey *survey, const struct survey_plan *plan,
		 const struct target *targets, size_t count);

/* Waits until the target at index is done, or its look-up has passed the deadline, which adds a
 * sample with an error; and copies its series. */
void survey_wait(struct survey *survey, size_t index, struct sample_series *series);

/* Whether all jobs are done. With the lock held. */
bool survey_is_done(const struct survey *survey);

/* Waits until all jobs are done or until the monotonic time *limit, which on_sample may change.
 * With the lock held. */
void survey_wait_all(struct survey *survey, const int64_t *limit);

/* Lets each job end after its current sample. With the lock held. */
void survey_stop(struct survey *survey);

/* Joins the threads that are done and detaches the others. Returns whether all are done; if not,
 * the process has to end by _exit, since exit would run handlers of libraries still in use. */
bool survey_end(struct survey *survey);

#endif
