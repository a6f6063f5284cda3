/* The reply to "timeserver --signal status": JSON from the daemon, printed as text for the
 * operator. */
#ifndef SERVER_STATUS_H
#define SERVER_STATUS_H

#include <stdbool.h>
#include <stdio.h>

#include "server/engine.h"

#define STATUS_MEMBER_SIZE 48

/* Returns the reply to a status request, a line of JSON to be freed; NULL if memory is short. The
 * daemon was started with source. */
char *status_line(const struct engine *engine, const struct config_source *source, bool stopping);

/* The file of the program that this process runs, as DEVICE:INODE, which is the member "executable"
 * of a status. Returns false if it is not known. */
bool status_program(char program[static STATUS_MEMBER_SIZE]);

/* The member "source" of the status of a daemon that was started with source. */
void status_source(const struct config_source *source, char text[static STATUS_MEMBER_SIZE]);

/* Whether a reply to a status request has a member of this name and value. */
bool status_has(const char *line, const char *name, const char *value);

/* Prints a reply as text, a line "name: value" for each figure that has one, or as JSON. The daemon
 * may be another user's: whatever it sent, printable ASCII comes out. Returns false if it is not a
 * JSON object. */
bool status_print(const char *line, FILE *out);
bool status_print_json(const char *line, FILE *out);

#endif
