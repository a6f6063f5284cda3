#include "client/daytime_text.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "clock/clock.h"

#define MJD_DIGITS  5
#define MJD_OF_1970 40587	 /* modified Julian day */
#define NIST_ERROR  CLOCK_SECOND /* the text is sent early by an estimated delay */

/* For strptime, which expects English names: LC_TIME is the C locale. */
static const char *const formats[] = {
	"%a %b %d %H:%M:%S %Y",	  /* ctime */
	"%d %b %Y %H:%M:%S",	  /* xinetd */
	"%Y-%m-%dT%H:%M:%S",	  /* ISO 8601 */
	"%Y-%m-%d %H:%M:%S",	  /* a common variant */
	"%A, %B %d, %Y %H:%M:%S", /* the example of RFC 867, where -PST follows */
	"%a, %d %b %Y %H:%M:%S",  /* RFC 5322 */
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

/* Converts calendar from the zone that rest names, or from the local zone if rest is empty. */
static bool apply_zone(struct daytime_text *parsed, struct tm *calendar, const char *rest)
{
	struct tm zone = { 0 }, local = *calendar;
	const char *end;

	local.tm_isdst = -1;
	parsed->seconds = mktime(&local);
	parsed->has_zone = true;
	if (*rest == '\0') {
		parsed->has_zone = false;
		return true;
	}
	if (is_local_zone(rest, parsed->seconds))
		return true;
	if (strcmp(rest, "UTC") == 0 || strcmp(rest, "GMT") == 0) {
		parsed->seconds = timegm(calendar);
		return true;
	}
	end = strptime(rest, "%z", &zone);
	if (!end || *end != '\0')
		return false;
	parsed->seconds = timegm(calendar) - zone.tm_gmtoff;
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

static bool parse_format(const char *text, const char *format, struct daytime_text *parsed)
{
	struct tm calendar = { 0 };
	const char *rest = strptime(text, format, &calendar);
	char zone[32];
	size_t length;

	if (!rest || !is_plausible(&calendar))
		return false;
	rest = skip_to_zone(rest);
	length = strcspn(rest, " ");
	if (*skip_blanks(rest + length) != '\0' || length >= sizeof(zone))
		return false;
	memcpy(zone, rest, length);
	zone[length] = '\0';
	parsed->extra_error = 0;
	return apply_zone(parsed, &calendar, zone);
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

bool daytime_text_parse(const char *text, struct daytime_text *parsed)
{
	text = skip_blanks(text);
	if (parse_nist(text, parsed))
		return true;
	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
		if (parse_format(text, formats[i], parsed))
			return true;
	}
	return false;
}
