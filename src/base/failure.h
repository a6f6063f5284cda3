/* Why something could not be done: one line for a person, and the exit status that goes with it. */
#ifndef BASE_FAILURE_H
#define BASE_FAILURE_H

#include <stdbool.h>

/* The program's exit statuses; the last three as sysexits(3) numbers them. */
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

/* Records a failure; control bytes in the text are escaped, so that it stays a line. Always returns
 * false, so that a function can end with it. */
bool failure_set(struct failure *failure, enum exit_status status, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Records a failed system call: the text, a colon and what errno says; the status is
 * EXIT_PERMISSION for EACCES and EPERM, else EXIT_NOT_STARTED. Always returns false. */
bool failure_set_errno(struct failure *failure, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#endif
