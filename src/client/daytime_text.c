#include "client/daytime_text.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "clock/clock.h"

#define MJD_DIGITS  5
#define MJD_OF_1970 40587	 /* modified Julian day */
#define NIST_ERROR  CLOCK_SECOND /* the text is sent early by an estimated delay */

/* For strptime, which expects English names: LC_TIME is the C locale. Blanks, a fraction and a dash
 * may stand before the zone. */
static const struct format {
	const char *before_zone, *after_zone;
} formats[] = {
	{ "%a %b %d %H:%M:%S %Y", "" },	   /* ctime */
	{ "%a %b %d %H:%M:%S", " %Y" },	   /* date(1) */
	{ "%a %b %d %I:%M:%S %p", " %Y" }, /* in American English */
	{ "%a %d %b %H:%M:%S", " %Y" },	   /* in British English */
	{ "%a %d %b %Y %H:%M:%S", "" },	   /* in newer versions of the C library */
	{ "%a %d %b %Y %I:%M:%S %p", "" }, /* in American English */
	{ "%d %b %Y %H:%M:%S", "" },	   /* xinetd */
	{ "%d %b %y %H:%M:%S", "" },	   /* the second example of RFC 867 */
	{ "%d-%b-%Y %H:%M:%S", "" },	   /* VMS */
	{ "%d-%b-%y %H:%M:%S", "" },	   /* TOPS-20 */
	{ "%Y-%m-%dT%H:%M:%S", "" },	   /* ISO 8601 */
	{ "%Y-%m-%d %H:%M:%S", "" },	   /* a common variant */
	{ "%Y/%m/%d %H:%M:%S", "" },	   /* in Japan */
	{ "%d.%m.%Y %H:%M:%S", "" },	   /* in Germany */
	{ "%d/%m/%Y %H:%M:%S", "" },	   /* in Britain */
	{ "%m/%d/%Y %H:%M:%S", "" },	   /* in America */
	{ "%A, %B %d, %Y %H:%M:%S", "" },  /* the first example of RFC 867, where -PST follows */
	{ "%a, %d %b %Y %H:%M:%S", "" },   /* RFC 5322 */
	{ "%I:%M:%S %p %m/%d/%Y", "" },	   /* Windows in America */
	{ "%I:%M:%S %p %d/%m/%Y", "" },	   /* in Australia */
	{ "%H:%M:%S %d/%m/%Y", "" },	   /* in Britain */
	{ "%H:%M:%S %d.%m.%Y", "" },	   /* in Germany */
};

/* The names of RFC 5322 section 4.3 that mean one zone, and UTC. */
static const struct zone {
	const char *name;
	int hours; /* east of UTC */
} zones[] = {
	{ "UTC", 0 },  { "GMT", 0 },  { "UT", 0 },   { "EST", -5 }, { "EDT", -4 }, { "CST", -6 },
	{ "CDT", -5 }, { "MST", -7 }, { "MDT", -6 }, { "PST", -8 }, { "PDT", -7 },
};

static const char *skip_blanks(const char *text)
{
	return text + strspn(text, " ");
}

/* Years from 1900 to 2199, and no 31st of February. */
static bool is_plausible(const struct tm *calendar)
{
	struct tm day = { .tm_year = calendar->tm_year,
			  .tm_mon = calendar->tm_mon,
			  .tm_mday = calendar->tm_mday };

	timegm(&day);
	return calendar->tm_year >= 0 && calendar->tm_year < 300 &&
	       day.tm_mday == calendar->tm_mday;
}

/* Whether name is the local zone at the local time seconds. */
static bool is_local_zone(const char *name, int64_t seconds)
{
	time_t time = (time_t)seconds;
	struct tm local;

	return localtime_r(&time, &local) && local.tm_zone && strcmp(name, local.tm_zone) == 0;
}

/* Sets offset to the seconds east of UTC of a zone by its name or as "+01:00". */
static bool find_zone(const char *name, long *offset)
{
	struct tm numeric = { 0 };
	const char *end;

	for (size_t i = 0; i < sizeof(zones) / sizeof(zones[0]); i++) {
		if (strcmp(name, zones[i].name) == 0) {
			*offset = zones[i].hours * 3600L;
			return true;
		}
	}
	end = strptime(name, "%z", &numeric);
	*offset = numeric.tm_gmtoff;
	return end && *end == '\0';
}

/* Converts calendar from the zone of this name, or from the local zone if it is empty. */
static bool apply_zone(struct daytime_text *parsed, struct tm *calendar, const char *name)
{
	struct tm local = *calendar;
	long offset;

	local.tm_isdst = -1;
	parsed->seconds = mktime(&local);
	parsed->has_zone = *name != '\0';
	if (!parsed->has_zone || is_local_zone(name, parsed->seconds))
		return true;
	if (!find_zone(name, &offset))
		return false;
	parsed->seconds = timegm(calendar) - offset;
	return true;
}

/* Between the seconds and the zone: a fraction, blanks, a dash as in RFC 867. */
static const char *skip_to_zone(const char *rest)
{
	if (*rest == '.' || *rest == ',')
		rest += 1 + strspn(rest + 1, "0123456789");
	rest = skip_blanks(rest);
	if (*rest == '-' && rest[1] >= 'A' && rest[1] <= 'Z')
		rest++;
	return rest;
}

static enum daytime_result parse_format(const char *text, const struct format *format,
					struct daytime_text *parsed)
{
	struct tm calendar = { 0 };
	const char *rest = strptime(text, format->before_zone, &calendar);
	char zone[32];
	size_t length;

	if (!rest)
		return DAYTIME_NO_DATE;
	rest = skip_to_zone(rest);
	length = strcspn(rest, " ");
	if (length >= sizeof(zone))
		return DAYTIME_NO_DATE;
	memcpy(zone, rest, length);
	zone[length] = '\0';
	rest = strptime(rest + length, format->after_zone, &calendar);
	if (!rest || *skip_blanks(rest) != '\0' || !is_plausible(&calendar))
		return DAYTIME_NO_DATE;
	parsed->extra_error = 0;
	return apply_zone(parsed, &calendar, zone) ? DAYTIME_OK : DAYTIME_NO_ZONE;
}

/* JJJJJ YR-MO-DA HH:MM:SS TT L H msADV UTC(NIST) OTM, where JJJJJ is the modified Julian day. */
static bool parse_nist(const char *text, struct daytime_text *parsed)
{
	struct tm calendar = { 0 };
	char *end;
	long day = strtol(text, &end, 10);
	const char *rest = strptime(end, " %y-%m-%d %H:%M:%S ", &calendar);

	if (end - text != MJD_DIGITS || !rest || !strstr(rest, " UTC(NIST) "))
		return false;
	parsed->seconds = (day - MJD_OF_1970) * CLOCK_DAY + calendar.tm_hour * 3600 +
			  calendar.tm_min * 60 + calendar.tm_sec;
	if (timegm(&calendar) != parsed->seconds)
		return false;
	parsed->has_zone = true;
	parsed->extra_error = NIST_ERROR;
	return true;
}

static bool is_nearer(const struct daytime_text *one, const struct daytime_text *other, int64_t now)
{
	return llabs(one->seconds - now) < llabs(other->seconds - now);
}

enum daytime_result daytime_text_parse(const char *text, int64_t now, struct daytime_text *parsed)
{
	enum daytime_result best = DAYTIME_NO_DATE;

	text = skip_blanks(text);
	if (parse_nist(text, parsed))
		return DAYTIME_OK;
	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
		struct daytime_text other;
		enum daytime_result result = parse_format(text, &formats[i], &other);

		if (result < best || (result == DAYTIME_OK && is_nearer(&other, parsed, now))) {
			best = result;
			*parsed = other;
		}
	}
	return best;
}
