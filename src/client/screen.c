#include "client/screen.h"

#include <string.h>

#define HOME	   "\033[H"
#define END_LINE   "\033[K\n"
#define CLEAR_REST "\033[J"
#define RED	   "\033[31m"
#define PLAIN	   "\033[0m"

#define GAP	     2
#define OFFSET_WIDTH 18
#define BOUND_WIDTH  14
#define LOSS_WIDTH   12
#define SPARK_WIDTH  10 /* minimum */
#define LEVELS	     8

void screen_add(struct screen_line *line, const struct sample *sample)
{
	line->samples[line->queries++ % SCREEN_SAMPLES] =
		(struct screen_sample){ .has_offset = sample->has_offset,
					.offset = sample->offset };
	line->replies += sample->valid;
	line->last = *sample;
}

/* The range of the last count offsets. Returns whether there is any. */
static bool find_range(const struct screen_line *line, size_t count, int64_t *low, int64_t *high)
{
	bool found = false;

	for (size_t i = line->queries - count; i < line->queries; i++) {
		const struct screen_sample *sample = &line->samples[i % SCREEN_SAMPLES];

		if (!sample->has_offset)
			continue;
		if (!found || sample->offset < *low)
			*low = sample->offset;
		if (!found || sample->offset > *high)
			*high = sample->offset;
		found = true;
	}
	return found;
}

/* The last offsets, as many as fit, scaled to their range. */
static void draw_spark(FILE *out, const struct screen_line *line, size_t room, bool utf8)
{
	static const char *const blocks[LEVELS] = { "\u2581", "\u2582", "\u2583", "\u2584",
						    "\u2585", "\u2586", "\u2587", "\u2588" };
	static const char *const signs[LEVELS] = { "_", ".", "-", "~", "=", "+", "*", "#" };
	size_t count = line->queries < SCREEN_SAMPLES ? line->queries : SCREEN_SAMPLES;
	int64_t low = 0, high = 0;

	if (count > room)
		count = room;
	find_range(line, count, &low, &high);
	for (size_t i = line->queries - count; i < line->queries; i++) {
		const struct screen_sample *sample = &line->samples[i % SCREEN_SAMPLES];
		int64_t step = (high - low) / LEVELS + 1;

		if (!sample->has_offset)
			fputs("x", out);
		else
			fputs((utf8 ? blocks : signs)[(sample->offset - low) / step], out);
	}
}

static void draw_padded(FILE *out, const char *text, size_t width)
{
	size_t used = format_width(text);

	fprintf(out, "%s%*s", text, used < width ? (int)(width - used) : width > 0, "");
}

static void draw_loss(FILE *out, const struct screen_line *line, size_t width)
{
	unsigned lost = line->queries - line->replies;
	char text[FORMAT_SIZE];

	snprintf(text, sizeof(text), "%u %% lost",
		 line->queries > 0 ? 100 * lost / line->queries : 0);
	draw_padded(out, text, width);
}

static void draw_offset(FILE *out, const struct screen_line *line, const struct format_style *style)
{
	const struct sample *last = &line->last;
	char text[FORMAT_SIZE];

	if (last->has_offset) {
		draw_padded(out, format_offset(text, last->offset, last->bound, style),
			    OFFSET_WIDTH);
		draw_padded(out, format_bound(text, last->bound, last->offset, style), BOUND_WIDTH);
	} else if (line->queries == 0) {
		draw_padded(out, "querying", OFFSET_WIDTH + BOUND_WIDTH);
	} else {
		snprintf(text, sizeof(text), "%.*s", OFFSET_WIDTH + BOUND_WIDTH - 2,
			 last->valid ? last->text : last->error);
		draw_padded(out, text, OFFSET_WIDTH + BOUND_WIDTH);
	}
}

static size_t widest(const struct target *targets, size_t count)
{
	size_t width = 0;

	for (size_t i = 0; i < count; i++) {
		if (strlen(targets[i].url) > width)
			width = strlen(targets[i].url);
	}
	return width;
}

/* width: of the first column; 0: the name is on a line of its own. */
static void draw_line(FILE *out, const struct target *target, const struct screen_line *line,
		      size_t width, const struct print_style *style)
{
	size_t start = width + OFFSET_WIDTH + BOUND_WIDTH + (width > 0 ? LOSS_WIDTH : 0);
	bool red = style->colour && line->queries > 0 && !line->last.valid;

	fputs(red ? RED : "", out);
	draw_padded(out, target->url, width > 0 ? width : strlen(target->url) + GAP);
	if (width == 0) {
		draw_loss(out, line, 0);
		fputs(END_LINE, out);
	}
	draw_offset(out, line, &style->format);
	if (width > 0)
		draw_loss(out, line, LOSS_WIDTH);
	draw_spark(out, line, style->columns > start ? style->columns - start - 1 : 0,
		   style->format.utf8);
	fprintf(out, "%s" END_LINE, red ? PLAIN : "");
}

void screen_draw(FILE *out, const struct target *targets, const struct screen_line *lines,
		 size_t count, size_t rows, const struct print_style *style)
{
	size_t width = widest(targets, count) + GAP;
	bool wide = width + OFFSET_WIDTH + BOUND_WIDTH + LOSS_WIDTH + SPARK_WIDTH <= style->columns;
	size_t room = (rows > 1 ? rows - 1 : 1) / (wide ? 1 : 2);
	size_t shown = count < room ? count : room;

	fputs(HOME, out);
	for (size_t i = 0; i < shown; i++)
		draw_line(out, &targets[i], &lines[i], wide ? width : 0, style);
	if (shown < count)
		fprintf(out, "and %zu more", count - shown);
	fputs(CLEAR_REST, out);
}
