#include "client/query.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "client/query_daytime.h"
#include "client/query_ntp.h"
#include "client/query_time.h"
#include "clock/clock.h"

#define SHOWN_LIMIT 64 /* bytes of a stranger's that a message shows */
#define SHOWN_SIZE  (SHOWN_LIMIT * 4 + sizeof("...")) /* an escape takes up to four */

#define OFFSET_MAX (INT64_C(280) * 366 * 86400) /* seconds; nanoseconds of 64 bits have 292 years */

const struct query_scheme query_schemes[] = {
	{ "daytime", 13, query_daytime }, { "daytime+udp", 13, query_daytime_udp },
	{ "time", 37, query_time },	  { "time+udp", 37, query_time_udp },
	{ "ntp", NTP_PORT, query_ntp },
};
const size_t query_scheme_count = sizeof(query_schemes) / sizeof(query_schemes[0]);

static const char *show(char shown[static SHOWN_SIZE], const void *bytes, size_t size)
{
	static const char cut[] = "...";

	text_escape(shown, SHOWN_SIZE, bytes, size > SHOWN_LIMIT ? SHOWN_LIMIT : size);
	if (size > SHOWN_LIMIT)
		memcpy(shown + strlen(shown), cut, sizeof(cut));
	return shown;
}

bool sample_fail(struct sample *sample, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(sample->error, sizeof(sample->error), format, arguments);
	va_end(arguments);
	sample->valid = false;
	return false;
}

bool sample_fail_errno(struct sample *sample, int error, const char *timeout, const void *received,
		       size_t size)
{
	char reason[128], shown[SHOWN_SIZE], rejected[SAMPLE_ERROR_SIZE];

	if (error == ETIME && !timeout)
		snprintf(reason, sizeof(reason), "timed out");
	else if (error == ETIME)
		snprintf(reason, sizeof(reason), "timed out after %s s", timeout);
	else
		snprintf(reason, sizeof(reason), "%s", strerror(error));
	if (size > 0)
		return sample_fail(sample, "%s, having received \"%s\"", reason,
				   show(shown, received, size));
	if (sample->rejected[0].reason)
		return sample_fail(sample, "%s, having refused %s", reason,
				   sample_format_rejected(sample, rejected));
	return sample_fail(sample, "%s", reason);
}

bool sample_fail_bytes(struct sample *sample, const char *reason, const void *bytes, size_t size)
{
	char shown[SHOWN_SIZE];

	return sample_fail(sample, "%s: \"%s\"", reason, show(shown, bytes, size));
}

static void count_rejected(struct sample *sample, const char *reason, unsigned count)
{
	for (size_t i = 0; i < SAMPLE_REJECTIONS_MAX; i++) {
		struct sample_rejection *rejection = &sample->rejected[i];

		if (!rejection->reason)
			rejection->reason = reason;
		if (strcmp(rejection->reason, reason) == 0) {
			rejection->count += count;
			return;
		}
	}
}

void sample_reject(struct sample *sample, const char *reason)
{
	count_rejected(sample, reason, 1);
}

void sample_add_rejected(struct sample *sample, const struct sample *other)
{
	for (size_t i = 0; i < SAMPLE_REJECTIONS_MAX && other->rejected[i].reason; i++)
		count_rejected(sample, other->rejected[i].reason, other->rejected[i].count);
}

const char *sample_format_rejected(const struct sample *sample, char text[static SAMPLE_ERROR_SIZE])
{
	size_t used = 0;

	text[0] = '\0';
	for (size_t i = 0; i < SAMPLE_REJECTIONS_MAX && sample->rejected[i].reason; i++) {
		const struct sample_rejection *rejection = &sample->rejected[i];

		if (used < SAMPLE_ERROR_SIZE)
			used += (size_t)snprintf(text + used, SAMPLE_ERROR_SIZE - used, "%s%u x %s",
						 i > 0 ? ", " : "", rejection->count,
						 rejection->reason);
	}
	return text;
}

void sample_set_server_second(struct sample *sample, int64_t seconds, int64_t extra_error)
{
	const int64_t half = CLOCK_SECOND / 2;
	int64_t apart = seconds - sample->local_time.tv_sec;

	sample->has_offset = apart > -OFFSET_MAX && apart < OFFSET_MAX;
	if (!sample->has_offset)
		return;
	sample->server_time = (struct timespec){ .tv_sec = seconds };
	sample->offset =
		apart * CLOCK_SECOND - sample->local_time.tv_nsec + sample->delay / 2 + half;
	sample->bound = half + sample->delay / 2 + extra_error;
}

struct timespec timespan_add(struct timespec time, int64_t span)
{
	int64_t nanoseconds = time.tv_nsec + span % CLOCK_SECOND;
	int64_t carry = nanoseconds < 0 ? -1 : nanoseconds / CLOCK_SECOND;

	time.tv_sec += span / CLOCK_SECOND + carry;
	time.tv_nsec = nanoseconds - carry * CLOCK_SECOND;
	return time;
}
