/* --wait: a survey that is repeated until a target replies. */
#ifndef CLIENT_WAIT_H
#define CLIENT_WAIT_H

#include <stddef.h>
#include <stdint.h>

#include "client/result.h"
#include "client/survey.h"

/* Queries count targets at the plan's interval until one gives a valid sample or all deny access,
 * for at most timeout nanoseconds. Sets each result to the last sample of its target. The
 * plan's count, on_sample and context are set here. Returns 0 or an errno value. */
int wait_run(struct survey *survey, struct survey_plan *plan, const struct target *targets,
	     size_t count, int64_t timeout, struct result *results);

#endif
