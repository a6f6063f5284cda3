/* The command line. */
#ifndef SERVER_OPTIONS_H
#define SERVER_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

enum action {
	ACTION_SERVE,
	ACTION_TEST,
	ACTION_DUMP,
	ACTION_STOP,
	ACTION_RELOAD,
	ACTION_STATUS,
	ACTION_VERSION,
	ACTION_HELP,
};

struct options {
	enum action action;
	const char *config;  /* --config; NULL: not given */
	const char *user;    /* --user; NULL: not given */
	const char *pidfile; /* --pidfile; NULL: not given */
	const char **lines;  /* --option, as often as given; room for all of argv; to be freed */
	size_t line_count;
	bool foreground;
	bool debug;
	bool json;    /* tell the status as JSON */
	bool upgrade; /* take the place of the daemon that runs */
};

/* Reads the command line. What is wrong with it, or that there is no memory for it (then lines is
 * NULL), is told on standard error; then it returns false. The strings stay those of argv. */
bool options_parse(struct options *options, int argc, char **argv);

void options_print_help(void);

/* The version, what the program can do, and what it was built with. */
void options_print_version(void);

#endif
