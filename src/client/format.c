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

static const char *write_figure(char text[static FORMAT_SIZE], int64_t span,
				const struct unit *unit, const struct format_style *style)
{
	int64_t hundredth = unit->size / 100;
	int64_t hundredths = (timespan_magnitude(span) + hundredth / 2) / hundredth;

	snprintf(text, FORMAT_SIZE, "%" PRId64 ".%02d %s", hundredths / 100,
		 (int)(hundredths % 100), style->utf8 ? unit->name_utf8 : unit->name);
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
	if (timespan_magnitude(span) >= CALENDAR_FROM)
		return write_calendar(text, span);
	return write_figure(text, span, unit_of(span), style);
}

const char *format_offset(char text[static FORMAT_SIZE], int64_t offset,
			  const struct format_style *style)
{
	format_span(text, offset, style);
	strcat(text, offset < 0 ? " ahead" : " behind");
	return text;
}

const char *format_bound(char text[static FORMAT_SIZE], int64_t bound, int64_t offset,
			 const struct format_style *style)
{
	const struct unit *unit = unit_of(offset);
	char figure[FORMAT_SIZE];

	if (bound < unit->size / 10 || bound >= 1000 * unit->size)
		format_span(figure, bound, style);
	else
		write_figure(figure, bound, unit, style);
	snprintf(text, FORMAT_SIZE, "%s %.64s", style->utf8 ? "\302\261" : "+/-", figure);
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
