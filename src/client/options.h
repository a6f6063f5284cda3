/* The command line. */
#ifndef CLIENT_OPTIONS_H
#define CLIENT_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/format.h"
#include "client/set.h"
#include "client/survey.h"
#include "client/target.h"

enum action {
	ACTION_QUERY,
	ACTION_WATCH,
	ACTION_CHECK,
	ACTION_SET,
	ACTION_VERSION,
	ACTION_HELP,
};

struct options {
	enum action action;
	bool is_check; /* a monitoring system wants its own exit status for mistakes, too */
	const char *requiring[ACTION_SET + 1]; /* an option that is nothing without this action */
	struct survey_plan plan;
	int64_t wait; /* --wait, in nanoseconds; 0: not given */
	bool json;
	bool quiet;
	bool utc;
	const char *format; /* of times; NULL: the usual one */

	/* --check: what offset is too much, in nanoseconds. */
	int64_t warning, critical;

	struct set_options set; /* --set */

	struct target targets[SURVEY_TARGETS_MAX];
	size_t target_count;
};

/* Reads the command line. What is wrong with it is told on standard error; then it returns false.
 * The strings stay those of argv. */
bool options_parse(struct options *options, int argc, char **argv);

void options_print_help(void);

/* The version, what the program can do, and what it was built with. */
void options_print_version(void);

#endif
