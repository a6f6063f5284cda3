/* The command line. */
#ifndef CLIENT_OPTIONS_H
#define CLIENT_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/check.h"
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
	bool is_check; /* --check is given: usage errors exit with CHECK_UNKNOWN */
	const char *requiring[ACTION_SET + 1]; /* an option that requires the action */
	struct survey_plan plan;
	int64_t wait; /* --wait, in nanoseconds; 0: not given */
	bool json;
	bool quiet;
	bool utc;
	const char *format; /* of times, see format.h */

	struct check_limits check; /* --check */

	struct set_options set; /* --set */

	struct target targets[SURVEY_TARGETS_MAX];
	size_t target_count;
};

/* Parses the command line. Returns false with a message on standard error if it is wrong. The
 * strings are those of argv. */
bool options_parse(struct options *options, int argc, char **argv);

void options_print_help(void);

/* Prints the versions of the program and of libraries, and the schemes. */
void options_print_version(void);

#endif
