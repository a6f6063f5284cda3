#include <stdio.h>
#include <string.h>

#include "client/print.h"

#define CELLS 5
#define CELL  SAMPLE_ERROR_SIZE
#define DELAY 3 /* the column to omit first */
#define GAP   2

#define RED   "\033[31m"
#define BOLD  "\033[1m"
#define PLAIN "\033[0m"

struct row {
	char cells[CELLS][CELL];
	const char *colour; /* NULL: none */
	bool failed;	    /* the last cell is an error, of any width */
};

static const struct row head = { { "target", "your clock", "", "delay", "server" }, BOLD, false };

static void set(struct row *row, size_t cell, const char *text)
{
	snprintf(row->cells[cell], CELL, "%s", text);
}

/* The leap state is omitted if there is none. */
static const char *write_stratum(char text[static FORMAT_SIZE], const struct ntp_packet *packet)
{
	if (packet->leap != CLOCK_LEAP_NONE)
		return format_server(text, packet);
	snprintf(text, FORMAT_SIZE, "stratum %u", packet->stratum);
	return text;
}

static void fill_row(struct row *row, const struct result *result, const struct format_style *style)
{
	const struct sample *best = &result->series.best;
	char text[FORMAT_SIZE];

	*row = (struct row){ .colour = best->valid && !result->falseticker ? NULL : RED };
	set(row, 0, result->target->url);
	row->failed = !best->valid;
	if (row->failed) {
		set(row, CELLS - 1, best->error);
		return;
	}
	if (best->has_offset) {
		set(row, 1, format_offset(text, best->offset, best->bound, style));
		set(row, 2, format_bound(text, best->bound, best->offset, style));
	}
	set(row, DELAY, format_span(text, best->delay, style));
	set(row, 4, best->is_ntp ? write_stratum(text, &best->packet) : best->text);
	if (best->has_offset && !best->is_ntp && best->text[0] == '\0')
		set(row, 4, format_time(text, &best->server_time, true, style));
	if (result->falseticker)
		strncat(row->cells[4], ", falseticker", CELL - strlen(row->cells[4]) - 1);
}

static void write_paragraph(const struct row *row)
{
	printf("%s\n", row->cells[0]);
	if (row->cells[1][0] != '\0')
		printf("  %s, %s\n", row->cells[1], row->cells[2]);
	printf("  %s", row->cells[4]);
}

static void write_row(const struct row *row, const size_t widths[static CELLS])
{
	for (size_t i = 0; i < CELLS - 1; i++) {
		if (widths[i] > 0)
			printf("%s%*s", row->cells[i],
			       (int)(widths[i] + GAP - format_width(row->cells[i])), "");
	}
	fputs(row->cells[CELLS - 1], stdout);
}

static void widen(size_t widths[static CELLS], const struct row *row)
{
	for (size_t i = 0; i < CELLS; i++) {
		size_t width = format_width(row->cells[i]);

		if (width > widths[i] && (i < CELLS - 1 || !row->failed))
			widths[i] = width;
	}
}

static void write_agreement(const struct result_agreement *agreement,
			    const struct format_style *style)
{
	char offset[FORMAT_SIZE], bound[FORMAT_SIZE];

	if (agreement->total < 2)
		return;
	if (agreement->agreeing == 0)
		printf("%zu targets, no majority agrees\n", agreement->total);
	else
		printf("%zu of %zu agree: your clock is %s, %s\n", agreement->agreeing,
		       agreement->total,
		       format_offset(offset, agreement->offset, agreement->bound, style),
		       format_bound(bound, agreement->bound, agreement->offset, style));
}

static size_t sum_of(const size_t widths[static CELLS])
{
	size_t sum = 0;

	for (size_t i = 0; i < CELLS; i++)
		sum += widths[i] > 0 ? widths[i] + GAP : 0;
	return sum - GAP;
}

/* Sets the widths of the columns, 0 for an omitted one. Returns whether they fit on a line. */
static bool measure(size_t widths[static CELLS], const struct result *results, size_t count,
		    const struct print_style *style)
{
	struct row row;

	widen(widths, &head);
	for (size_t i = 0; i < count; i++) {
		fill_row(&row, &results[i], &style->format);
		widen(widths, &row);
	}
	if (sum_of(widths) > style->columns)
		widths[DELAY] = 0;
	return sum_of(widths) <= style->columns;
}

bool print_table(const struct result *results, size_t count,
		 const struct result_agreement *agreement, const struct print_style *style)
{
	size_t widths[CELLS] = { 0 };
	bool wide = measure(widths, results, count, style);
	struct row row = head;

	for (size_t i = 0; i < count; i++) {
		if (results[i].series.best.valid) /* otherwise the table shows the error */
			print_errors(&results[i], style);
	}
	for (size_t i = wide ? 0 : 1; i <= count; i++) {
		bool coloured;

		if (i > 0)
			fill_row(&row, &results[i - 1], &style->format);
		coloured = style->colour && row.colour;
		fputs(coloured ? row.colour : "", stdout);
		if (wide)
			write_row(&row, widths);
		else
			write_paragraph(&row);
		puts(coloured ? PLAIN : "");
	}
	write_agreement(agreement, &style->format);
	return !ferror(stdout) && fflush(stdout) == 0;
}
