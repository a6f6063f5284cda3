/* The reply to "timeserver --signal status": JSON from the daemon, printed as text for the
 * operator. */
#ifndef SERVER_STATUS_H
#define SERVER_STATUS_H

#include <stdbool.h>
#include <stdio.h>

#include "server/engine.h"

#define STATUS_PROGRAM_SIZE 48

/* Returns the reply to a status request, a line of JSON to be freed; NULL if memory is short. */
char *status_line(const struct engine *engine, bool stopping);

/* The file of the program that this process runs, as DEVICE:INODE, which is its status's member
 * "executable". Returns false if it is not known. */
bool status_program(char program[static STATUS_PROGRAM_SIZE]);

/* Whether a reply to a status request has this program. */
bool status_has_program(const char *line, const char *program);

/* Prints a reply as text, a line "name: value" for each figure that has one. Returns false if it is
 * not a JSON object. */
bool status_print(const char *line, FILE *out);

#endif
