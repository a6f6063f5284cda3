/* --watch: repeated queries, with a live view on a terminal, or else one line or JSON object per
 * sample. */
#ifndef CLIENT_WATCH_H
#define CLIENT_WATCH_H

#include <stdbool.h>
#include <stddef.h>

#include "client/print.h"
#include "client/survey.h"
#include "client/target.h"

/* Runs a survey until each target has the samples of the plan or denies access or, on a terminal,
 * until a signal. The plan's on_sample and context are set here. Restores the terminal. Returns 0,
 * with all_valid set to whether each target had a valid sample and none denied access, or an errno
 * value. */
int watch_run(struct survey *survey, struct survey_plan *plan, const struct target *targets,
	      size_t count, const struct print_style *style, bool json, bool *all_valid);

#endif
