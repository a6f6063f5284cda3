#include "client/sample.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "clock/clock.h"

#define SHOWN_MAX  64				   /* bytes of a reply in a message */
#define SHOWN_SIZE (SHOWN_MAX * 4 + sizeof("...")) /* an escape takes up to four */

#define OFFSET_MAX (INT64_C(280) * 366 * 86400) /* seconds; int64_t nanoseconds hold 292 years */

static const char *show(char shown[static SHOWN_SIZE], const void *bytes, size_t size)
{
	text_escape(shown, SHOWN_SIZE, bytes, size > SHOWN_MAX ? SHOWN_MAX : size);
	if (size > SHOWN_MAX)
		strcat(shown, "...");
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

	if (error == ETIME)
		snprintf(reason, sizeof(reason), "timed out after %s s", timeout);
	else
		snprintf(reason, sizeof(reason), "%s", strerror(error));
	if (size > 0)
		return sample_fail(sample, "%s, received only \"%s\"", reason,
				   show(shown, received, size));
	if (sample->rejected[0].reason)
		return sample_fail(sample, "%s, rejected %s", reason,
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

static bool is_better(const struct sample *sample, const struct sample *best)
{
	if (sample->denied)
		return true;
	if (sample->valid != best->valid)
		return sample->valid;
	if (sample->has_offset != best->has_offset)
		return sample->has_offset;
	return !sample->has_offset || sample->delay < best->delay;
}

static void add_offset(struct sample_series *series, int64_t offset)
{
	bool first = !series->best.has_offset;

	if (first || offset < series->lowest)
		series->lowest = offset;
	if (first || offset > series->highest)
		series->highest = offset;
}

void sample_series_add(struct sample_series *series, const struct sample *sample)
{
	struct sample best;

	series->queries++;
	series->replies += sample->valid;
	if (sample->has_offset)
		add_offset(series, sample->offset);
	best = is_better(sample, &series->best) ? *sample : series->best;
	memcpy(best.rejected, series->best.rejected, sizeof(best.rejected));
	for (size_t i = 0; i < SAMPLE_REJECTIONS_MAX && sample->rejected[i].reason; i++)
		count_rejected(&best, sample->rejected[i].reason, sample->rejected[i].count);
	series->best = best;
}

int64_t sample_series_spread(const struct sample_series *series)
{
	return series->highest - series->lowest;
}
