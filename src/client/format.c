#include "client/format.h"

#include <inttypes.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>

#include "client/timespan.h"

#define CALENDAR_FROM (1000 * CLOCK_SECOND) /* from here on in hours and days */

struct unit {
	int64_t size; /* nanoseconds */
	const char *name, *name_utf8;
};

static const struct unit units[] = {
	{ CLOCK_SECOND, "s", "s" },
	{ CLOCK_MILLISECOND, "ms", "ms" },
	{ CLOCK_MILLISECOND / 1000, "us", "\302\265s" },
};
#define UNITS (sizeof(units) / sizeof(units[0]))

static const struct unit *unit_of(int64_t span)
{
	const struct unit *unit = units;

	while (unit < units + UNITS - 1 && timespan_magnitude(span) < unit->size)
		unit++;
	return unit;
}

/* The power of ten that leaves two digits of bound; at least a hundredth of a microsecond. */
static int64_t step_of(int64_t bound)
{
	int64_t step = 10;

	while (bound / step >= 100)
		step *= 10;
	return step;
}

static int64_t round_to(int64_t span, int64_t step)
{
	return (timespan_magnitude(span) + step / 2) / step * step;
}

/* The number of decimals that show step in a unit of this size. */
static int decimals_of(int64_t size, int64_t step)
{
	int decimals = 0;

	for (; step < size; step *= 10)
		decimals++;
	return decimals;
}

/* Writes span, a multiple of step, in units of this size. */
static int write_decimal(char text[static FORMAT_SIZE], const char *sign, int64_t span,
			 int64_t size, int64_t step)
{
	int decimals = decimals_of(size, step);

	if (decimals == 0)
		return snprintf(text, FORMAT_SIZE, "%s%" PRId64, sign, span / size);
	return snprintf(text, FORMAT_SIZE, "%s%" PRId64 ".%0*" PRId64, sign, span / size, decimals,
			span % size / step);
}

static const char *write_figure(char text[static FORMAT_SIZE], int64_t span,
				const struct unit *unit, int64_t step,
				const struct format_style *style)
{
	int used = write_decimal(text, "", round_to(span, step), unit->size, step);

	snprintf(text + used, (size_t)(FORMAT_SIZE - used), " %s",
		 style->utf8 ? unit->name_utf8 : unit->name);
	return text;
}

static const char *write_calendar(char text[static FORMAT_SIZE], int64_t span)
{
	int64_t seconds = timespan_magnitude(span) / CLOCK_SECOND;
	int64_t days = seconds / CLOCK_DAY;
	int used = 0;

	if (days > 0)
		used = snprintf(text, FORMAT_SIZE, "%" PRId64 " %s ", days,
				days == 1 ? "day" : "days");
	snprintf(text + used, (size_t)(FORMAT_SIZE - used), "%02d:%02d:%02d",
		 (int)(seconds % CLOCK_DAY / 3600), (int)(seconds % 3600 / 60),
		 (int)(seconds % 60));
	return text;
}

const char *format_span(char text[static FORMAT_SIZE], int64_t span,
			const struct format_style *style)
{
	const struct unit *unit = unit_of(span);

	if (timespan_magnitude(span) >= CALENDAR_FROM)
		return write_calendar(text, span);
	return write_figure(text, span, unit, unit->size / 100, style);
}

/* The unit of an offset and, if that leaves it readable, of its bound. */
static const struct unit *common_unit(int64_t offset, int64_t bound)
{
	int64_t magnitude = timespan_magnitude(offset);

	return unit_of(magnitude > bound ? magnitude : round_to(bound, step_of(bound)));
}

const char *format_rounded(char text[static FORMAT_SIZE], int64_t span, int64_t bound,
			   const struct format_style *style)
{
	if (timespan_magnitude(span) >= CALENDAR_FROM)
		return write_calendar(text, span);
	return write_figure(text, span, common_unit(span, bound), step_of(bound), style);
}

const char *format_offset(char text[static FORMAT_SIZE], int64_t offset, int64_t bound,
			  const struct format_style *style)
{
	format_rounded(text, offset, bound, style);
	strcat(text, offset < 0 ? " ahead" : " behind");
	return text;
}

const char *format_bound(char text[static FORMAT_SIZE], int64_t bound, int64_t offset,
			 const struct format_style *style)
{
	const struct unit *unit = common_unit(offset, bound);
	char figure[FORMAT_SIZE];

	if (bound < unit->size / 10 || bound >= CALENDAR_FROM)
		format_rounded(figure, bound, bound, style);
	else
		write_figure(figure, bound, unit, step_of(bound), style);
	snprintf(text, FORMAT_SIZE, "%s %.64s", style->utf8 ? "\302\261" : "+/-", figure);
	return text;
}

const char *format_seconds(char text[static FORMAT_SIZE], int64_t span, int64_t bound)
{
	int64_t step = step_of(bound), rounded = round_to(span, step);

	write_decimal(text, span < 0 && rounded > 0 ? "-" : "", rounded, CLOCK_SECOND, step);
	return text;
}

static const char *write_format(char text[static FORMAT_SIZE], const struct tm *calendar,
				const char *format)
{
	/* All other output is in English. */
	locale_t language = newlocale(LC_ALL_MASK, "", (locale_t)0);
	size_t length;

	if (!language)
		language = duplocale(LC_GLOBAL_LOCALE);
	length = language ? strftime_l(text, FORMAT_SIZE, format, calendar, language) : 0;
	text[length] = '\0';
	if (language)
		freelocale(language);
	return text;
}

const char *format_time(char text[static FORMAT_SIZE], const struct timespec *time, bool whole,
			const struct format_style *style)
{
	char fraction[32] = "";
	struct tm calendar;
	size_t length;

	if (!(style->utc ? gmtime_r(&time->tv_sec, &calendar) :
			   localtime_r(&time->tv_sec, &calendar))) {
		snprintf(text, FORMAT_SIZE, "%" PRId64 " s since 1970", (int64_t)time->tv_sec);
		return text;
	}
	if (style->format)
		return write_format(text, &calendar, style->format);
	if (!whole)
		snprintf(fraction, sizeof(fraction), ".%06ld", time->tv_nsec / 1000);
	length = strftime(text, FORMAT_SIZE, "%Y-%m-%d %H:%M:%S", &calendar);
	snprintf(text + length, FORMAT_SIZE - length, "%s %s", fraction,
		 style->utc ? "UTC" : calendar.tm_zone);
	return text;
}

const char *format_leap(unsigned leap)
{
	static const char *const names[] = { "none", "insert", "delete", "unknown" };

	return names[leap & 3];
}

const char *format_server(char text[static FORMAT_SIZE], const struct ntp_packet *packet)
{
	snprintf(text, FORMAT_SIZE, "stratum %u, leap %s", packet->stratum,
		 format_leap(packet->leap));
	return text;
}

size_t format_width(const char *text)
{
	size_t width = 0;

	for (; *text != '\0'; text++)
		width += (*text & 0xc0) != 0x80;
	return width;
}
