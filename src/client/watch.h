/* --watch: going on job, and showing what comes: a live picture on a terminal, a line or a JSON
 * object a sample elsewhere. */
#ifndef CLIENT_WATCH_H
#define CLIENT_WATCH_H

#include <stdbool.h>
#include <stddef.h>

#include "client/print.h"
#include "client/survey.h"
#include "client/target.h"

/* Runs a round until as many samples as its plan has were taken of each target or, on a terminal, a
 * signal ends it; the plan's sampled and context are set here. The terminal is left as it was.
 * Returns 0, with answered telling whether every target has answered at least once, or an errno
 * value: standard output could not be written, or there was not enough of something. */
int watch_run(struct survey *survey, struct survey_plan *plan, const struct target *targets,
	      size_t count, const struct print_style *style, bool json, bool *answered);

#endif
