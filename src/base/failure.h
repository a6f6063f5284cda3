/* Why something failed: one line for a person, and an exit status. */
#ifndef BASE_FAILURE_H
#define BASE_FAILURE_H

#include <stdbool.h>

/* The exit statuses of timeserver; the last two as in sysexits(3). */
enum exit_status {
	EXIT_SERVING = 0,
	EXIT_NOT_STARTED = 1,
	EXIT_USAGE = 2,
	EXIT_PERMISSION = 77,
	EXIT_CONFIGURATION = 78,
};

struct failure {
	enum exit_status status;
	char text[512];
};

/* Sets failure; control bytes in the text are escaped, so that it stays one line. Returns false,
 * for the caller to return. */
bool failure_set(struct failure *failure, enum exit_status status, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Sets failure to the text, a colon and strerror(errno); the status is EXIT_PERMISSION for EACCES
 * and EPERM, else EXIT_NOT_STARTED. Returns false. */
bool failure_set_errno(struct failure *failure, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#endif
