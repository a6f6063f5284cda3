#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "base/log.h"
#include "client/print.h"

void print_message(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	fputs(log_is_journal(STDERR_FILENO) ? "<3>" : PROGRAM_NAME ": ", stderr);
	vfprintf(stderr, format, arguments);
	fputc('\n', stderr);
	va_end(arguments);
}

/* Whether to print the text of a Daytime reply as it is. */
static bool is_verbatim(const struct sample *sample, const struct print_style *style)
{
	return sample->text[0] != '\0' && (style->local_zone || !sample->has_offset);
}

bool print_is_independent(const struct result *result, const struct print_style *style)
{
	const struct sample *sample = &result->series.best;

	return !style->table && (!sample->valid || is_verbatim(sample, style));
}

void print_errors(const struct result *result, const struct print_style *style)
{
	const struct sample *sample = &result->series.best;
	char rejected[SAMPLE_ERROR_SIZE];

	if (style->quiet)
		return;
	if (!sample->valid)
		print_message("%s: %s", result->target->name, sample->error);
	else if (sample->rejected[0].reason)
		print_message("%s: rejected %s", result->target->name,
			      sample_format_rejected(sample, rejected));
	if (sample->zone_unknown && (style->table || !style->local_zone))
		print_message("%s: no offset: " SAMPLE_ZONE_UNKNOWN, result->target->name);
}

static void write_offset(const struct sample *sample, const struct format_style *style)
{
	char offset[FORMAT_SIZE], bound[FORMAT_SIZE];

	if (sample->has_offset)
		printf("  your clock is %s, %s",
		       format_offset(offset, sample->offset, sample->bound, style),
		       format_bound(bound, sample->bound, sample->offset, style));
}

static void write_series(const struct sample_series *series, const struct format_style *style)
{
	int64_t spread = sample_series_spread(series);
	char text[FORMAT_SIZE];

	if (series->queries > 1)
		printf("  %u of %u samples, spread %s", series->replies, series->queries,
		       format_rounded(text, spread, spread, style));
}

static void write_sample(const struct result *result, const struct format_style *style)
{
	const struct sample *sample = &result->series.best;
	char text[FORMAT_SIZE];

	printf("%s", result->target->url);
	if (sample->has_offset)
		printf("  %s", format_time(text, &sample->server_time, !sample->is_ntp, style));
	write_offset(sample, style);
	if (sample->is_ntp)
		printf("  %s", format_server(text, &sample->packet));
	write_series(&result->series, style);
	puts(result->falseticker ? "  falseticker" : "");
}

bool print_line(const struct result *result, const struct print_style *style)
{
	const struct sample *sample = &result->series.best;

	print_errors(result, style);
	if (!sample->valid)
		return true;
	if (is_verbatim(sample, style))
		printf("Server Message: %s\n", sample->text);
	else
		write_sample(result, &style->format);
	return !ferror(stdout) && fflush(stdout) == 0;
}
