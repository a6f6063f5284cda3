#include "server/failure.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

bool failure_set(struct failure *failure, enum exit_status status, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(failure->text, sizeof(failure->text), format, arguments);
	va_end(arguments);
	failure->status = status;
	return false;
}

bool failure_set_errno(struct failure *failure, const char *format, ...)
{
	int error = errno;
	char text[sizeof(failure->text) - 64]; /* what errno says is shorter than the rest */
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	snprintf(failure->text, sizeof(failure->text), "%s: %s", text, strerror(error));
	failure->status = error == EACCES || error == EPERM ? EXIT_PERMISSION : EXIT_NOT_STARTED;
	return false;
}
