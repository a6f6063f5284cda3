#include "client/ask.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "client/ask_daytime.h"

#define SHOWN_LIMIT 64 /* bytes of a stranger's that a message shows */
#define SHOWN_SIZE  (SHOWN_LIMIT * 4 + sizeof("...")) /* an escape takes up to four */

const struct ask_scheme ask_schemes[] = {
	{ "daytime", 13, ask_daytime },
};
const size_t ask_scheme_count = sizeof(ask_schemes) / sizeof(ask_schemes[0]);

static const char *show(char shown[static SHOWN_SIZE], const void *bytes, size_t size)
{
	static const char cut[] = "...";

	text_escape(shown, SHOWN_SIZE, bytes, size > SHOWN_LIMIT ? SHOWN_LIMIT : size);
	if (size > SHOWN_LIMIT)
		memcpy(shown + strlen(shown), cut, sizeof(cut));
	return shown;
}

bool ask_fail(struct ask_answer *answer, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(answer->error, sizeof(answer->error), format, arguments);
	va_end(arguments);
	answer->valid = false;
	return false;
}

bool ask_fail_at(struct ask_answer *answer, int error, const char *timeout, const void *received,
		 size_t size)
{
	char reason[128], shown[SHOWN_SIZE];

	if (error == ETIME)
		snprintf(reason, sizeof(reason), "timed out after %s s", timeout);
	else
		snprintf(reason, sizeof(reason), "%s", strerror(error));
	if (size == 0)
		return ask_fail(answer, "%s", reason);
	return ask_fail(answer, "%s, having received \"%s\"", reason, show(shown, received, size));
}

bool ask_fail_with(struct ask_answer *answer, const char *reason, const void *bytes, size_t size)
{
	char shown[SHOWN_SIZE];

	return ask_fail(answer, "%s: \"%s\"", reason, show(shown, bytes, size));
}
