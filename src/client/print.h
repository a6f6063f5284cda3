/* Printing results: lines or a table for people, JSON for programs. Output is flushed; a function
 * that returns false could not write and has set errno. */
#ifndef CLIENT_PRINT_H
#define CLIENT_PRINT_H

#include <stdbool.h>
#include <stddef.h>

#include "client/format.h"
#include "client/result.h"

struct print_style {
	struct format_style format;
	bool local_zone; /* neither --utc nor --format was given */
	bool quiet;	 /* no messages on standard error */
	bool terminal;	 /* standard output is a terminal */
	bool table;	 /* several targets on a terminal */
	bool colour;
	size_t columns; /* of the terminal */
};

/* Prints an error on standard error, after the program's name; in the journal, which adds the name
 * itself, after a priority instead. */
void print_message(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Whether the line for a result does not depend on other results. */
bool print_is_independent(const struct result *result, const struct print_style *style);

/* Prints a valid sample on standard output, and errors and rejections on standard error. */
bool print_line(const struct result *result, const struct print_style *style);

/* The part of print_line on standard error. */
void print_errors(const struct result *result, const struct print_style *style);

/* Prints a table and the agreement, or a paragraph per target if there are too few columns. Names
 * and addresses are never truncated. */
bool print_table(const struct result *results, size_t count,
		 const struct result_agreement *agreement, const struct print_style *style);

/* Prints a JSON object and a newline; timeclient(1) describes its members. compared: falseticker is
 * meaningful. */
bool print_json(const struct result *result, bool compared);

#endif
