/* The command line. */
#ifndef CLIENT_OPTIONS_H
#define CLIENT_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/round.h"
#include "client/target.h"

enum action {
	ACTION_ASK,
	ACTION_VERSION,
	ACTION_HELP,
};

struct options {
	enum action action;
	int family;		  /* AF_UNSPEC, AF_INET or AF_INET6 */
	int64_t timeout;	  /* nanoseconds */
	const char *timeout_text; /* the same in seconds, as it was given */
	bool json;
	bool quiet;
	struct target targets[ROUND_LIMIT];
	size_t target_count;
};

/* Reads the command line. What is wrong with it is told on standard error; then it returns false.
 * The strings stay those of argv. */
bool options_parse(struct options *options, int argc, char **argv);

void options_print_help(void);

/* The version, what the program can do, and what it was built with. */
void options_print_version(void);

#endif
