#include "base/failure.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

bool failure_set(struct failure *failure, enum exit_status status, const char *format, ...)
{
	char raw[sizeof(failure->text)];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(raw, sizeof(raw), format, arguments);
	va_end(arguments);
	text_escape(failure->text, sizeof(failure->text), raw, strlen(raw));
	failure->status = status;
	return false;
}

bool failure_set_errno(struct failure *failure, const char *format, ...)
{
	int error = errno;
	char text[sizeof(failure->text) - 128]; /* room for strerror */
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	return failure_set(failure,
			   error == EACCES || error == EPERM ? EXIT_PERMISSION : EXIT_NOT_STARTED,
			   "%s: %s", text, strerror(error));
}
