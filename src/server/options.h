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
};

struct options {
	enum action action;
	void (*print)(void); /* --help or --version: prints it instead of the action; or NULL */
	const char *config;  /* --config; NULL: not given */
	const char *user;    /* --user; NULL: not given */
	const char *pidfile; /* --pidfile; NULL: not given */
	const char **lines;  /* of each --option; to be freed, the strings are those of argv */
	size_t line_count;
	bool foreground;
	bool debug;
	bool json;    /* with ACTION_STATUS */
	bool upgrade; /* take over from the running daemon */
};

/* Reads the command line; the strings stay those of argv. Prints an error to standard error and
 * returns false; lines is NULL if there was no memory for it. Options that exclude each other are
 * an error. */
bool options_parse(struct options *options, int argc, char **argv);

void options_print_help(void);

/* Prints the version, the protocols, what the sandbox can do here, and the library versions. */
void options_print_version(void);

#endif
