#include <stdio.h>

#include "client/print.h"
#include "client/program.h"

/* A Daytime answer is shown in the server's own words. */
static bool is_in_own_words(const struct ask_answer *answer, const struct print_style *style)
{
	return answer->text[0] != '\0' && (style->own_zone || !answer->timed);
}

bool print_is_alone(const struct report *report, const struct print_style *style)
{
	const struct ask_answer *answer = &report->series.best;

	return !style->table && (!answer->valid || is_in_own_words(answer, style));
}

void print_trouble(const struct report *report, const struct print_style *style)
{
	const struct ask_answer *answer = &report->series.best;
	char refused[ASK_ERROR_SIZE];

	if (style->quiet)
		return;
	if (!answer->valid)
		fprintf(stderr, PROGRAM_NAME ": %s: %s\n", report->target->name, answer->error);
	else if (answer->refused[0].reason)
		fprintf(stderr, PROGRAM_NAME ": %s: refused %s\n", report->target->name,
			ask_format_refused(answer, refused));
}

/* The clocks' difference, and how sure that is. */
static void write_offset(const struct ask_answer *answer, const struct format_style *style)
{
	char offset[FORMAT_SIZE], bound[FORMAT_SIZE];

	if (answer->timed)
		printf("  your clock is %s, %s", format_offset(offset, answer->offset, style),
		       format_bound(bound, answer->bound, answer->offset, style));
}

static void write_series(const struct series *series, const struct format_style *style)
{
	char spread[FORMAT_SIZE];

	if (series->asked > 1)
		printf("  %u of %u samples, spread %s", series->answered, series->asked,
		       format_span(spread, series_spread(series), style));
}

static void write_answer(const struct report *report, const struct format_style *style)
{
	const struct ask_answer *answer = &report->series.best;
	char text[FORMAT_SIZE];

	printf("%s", report->target->url);
	if (answer->timed)
		printf("  %s", format_time(text, &answer->told, !answer->is_ntp, style));
	write_offset(answer, style);
	if (answer->is_ntp)
		printf("  %s", format_server(text, &answer->packet));
	write_series(&report->series, style);
	puts(report->falseticker ? "  falseticker" : "");
}

bool print_line(const struct report *report, const struct print_style *style)
{
	const struct ask_answer *answer = &report->series.best;

	print_trouble(report, style);
	if (!answer->valid)
		return true;
	if (is_in_own_words(answer, style))
		printf("Server Message: %s\n", answer->text);
	else
		write_answer(report, &style->format);
	return !ferror(stdout) && fflush(stdout) == 0;
}
