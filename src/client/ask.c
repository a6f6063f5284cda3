#include "client/ask.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "client/ask_daytime.h"
#include "client/ask_ntp.h"
#include "client/ask_time.h"
#include "clock/clock.h"

#define SHOWN_LIMIT 64 /* bytes of a stranger's that a message shows */
#define SHOWN_SIZE  (SHOWN_LIMIT * 4 + sizeof("...")) /* an escape takes up to four */

#define OFFSET_MAX (INT64_C(280) * 366 * 86400) /* seconds; nanoseconds of 64 bits have 292 years */

const struct ask_scheme ask_schemes[] = {
	{ "daytime", 13, ask_daytime }, { "daytime+udp", 13, ask_daytime_udp },
	{ "time", 37, ask_time },	{ "time+udp", 37, ask_time_udp },
	{ "ntp", NTP_PORT, ask_ntp },
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
	char reason[128], shown[SHOWN_SIZE], refused[ASK_ERROR_SIZE];

	if (error == ETIME && !timeout)
		snprintf(reason, sizeof(reason), "timed out");
	else if (error == ETIME)
		snprintf(reason, sizeof(reason), "timed out after %s s", timeout);
	else
		snprintf(reason, sizeof(reason), "%s", strerror(error));
	if (size > 0)
		return ask_fail(answer, "%s, having received \"%s\"", reason,
				show(shown, received, size));
	if (answer->refused[0].reason)
		return ask_fail(answer, "%s, having refused %s", reason,
				ask_format_refused(answer, refused));
	return ask_fail(answer, "%s", reason);
}

bool ask_fail_with(struct ask_answer *answer, const char *reason, const void *bytes, size_t size)
{
	char shown[SHOWN_SIZE];

	return ask_fail(answer, "%s: \"%s\"", reason, show(shown, bytes, size));
}

static void count_refused(struct ask_answer *answer, const char *reason, unsigned count)
{
	for (size_t i = 0; i < ASK_REFUSALS; i++) {
		struct ask_refusal *refusal = &answer->refused[i];

		if (!refusal->reason)
			refusal->reason = reason;
		if (strcmp(refusal->reason, reason) == 0) {
			refusal->count += count;
			return;
		}
	}
}

void ask_refuse(struct ask_answer *answer, const char *reason)
{
	count_refused(answer, reason, 1);
}

void ask_add_refused(struct ask_answer *answer, const struct ask_answer *other)
{
	for (size_t i = 0; i < ASK_REFUSALS && other->refused[i].reason; i++)
		count_refused(answer, other->refused[i].reason, other->refused[i].count);
}

const char *ask_format_refused(const struct ask_answer *answer, char text[static ASK_ERROR_SIZE])
{
	size_t used = 0;

	text[0] = '\0';
	for (size_t i = 0; i < ASK_REFUSALS && answer->refused[i].reason; i++) {
		const struct ask_refusal *refusal = &answer->refused[i];

		if (used < ASK_ERROR_SIZE)
			used += (size_t)snprintf(text + used, ASK_ERROR_SIZE - used, "%s%u x %s",
						 i > 0 ? ", " : "", refusal->count,
						 refusal->reason);
	}
	return text;
}

void ask_tell_second(struct ask_answer *answer, int64_t seconds, int64_t slack)
{
	const int64_t half = CLOCK_SECOND / 2;
	int64_t apart = seconds - answer->time.tv_sec;

	answer->timed = apart > -OFFSET_MAX && apart < OFFSET_MAX;
	if (!answer->timed)
		return;
	answer->told = (struct timespec){ .tv_sec = seconds };
	answer->offset = apart * CLOCK_SECOND - answer->time.tv_nsec + answer->delay / 2 + half;
	answer->bound = half + answer->delay / 2 + slack;
}

struct timespec ask_time_plus(struct timespec time, int64_t span)
{
	int64_t nanoseconds = time.tv_nsec + span % CLOCK_SECOND;
	int64_t carry = nanoseconds < 0 ? -1 : nanoseconds / CLOCK_SECOND;

	time.tv_sec += span / CLOCK_SECOND + carry;
	time.tv_nsec = nanoseconds - carry * CLOCK_SECOND;
	return time;
}
