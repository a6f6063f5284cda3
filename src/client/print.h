/* Showing what was found: lines or a table for people, JSON for programs. All of it is written at
 * once; a function that returns false has failed to, and set errno. */
#ifndef CLIENT_PRINT_H
#define CLIENT_PRINT_H

#include <stdbool.h>
#include <stddef.h>

#include "client/format.h"
#include "client/result.h"

struct print_style {
	struct format_style format;
	bool local_zone; /* neither --utc nor --format was given */
	bool quiet;	 /* nothing on standard error */
	bool terminal;	 /* standard output is one */
	bool table;	 /* and there are more targets than one */
	bool colour;
	size_t columns; /* of the terminal */
};

/* Whether the line for a report is the same whatever the other targets say, so that it need not
 * wait for them. */
bool print_is_independent(const struct result *result, const struct print_style *style);

/* Prints a line: a valid answer on standard output, what was refused and errors on standard
 * error. */
bool print_line(const struct result *result, const struct print_style *style);

/* The part of a line that goes to standard error. */
void print_errors(const struct result *result, const struct print_style *style);

/* Prints a table of all, and what they agree on; where columns are few, a paragraph for each. No
 * name or address is ever cut short. */
bool print_table(const struct result *results, size_t count,
		 const struct result_agreement *agreement, const struct print_style *style);

/* Prints an object on a line of its own: timeclient(1) has its members. compared: whether the
 * report's falseticker tells anything. */
bool print_json(const struct result *result, bool compared);

#endif
