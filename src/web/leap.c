#include "web/leap.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/file.h"
#include "clock/clock.h"

#define LIST  "/usr/share/zoneinfo/leap-seconds.list"
#define EPOCH INT64_C(2208988800) /* 1970, in the list's seconds since 1900 */

/* Reads "SECONDS OFFSET": TAI - UTC is OFFSET from then on. Other lines are comments. */
static bool read_change(const char *line, long long *seconds, long *offset)
{
	char *end, *last;

	*seconds = strtoll(line, &end, 10);
	*offset = strtol(end, &last, 10);
	return end != line && last != end;
}

void leap_read_file(struct leap *leap, const char *path)
{
	char reason[FILE_REASON_SIZE], line[256];
	FILE *file = file_open(path, reason);
	long long seconds;
	long offset;

	*leap = (struct leap){ 0 };
	while (file && fgets(line, sizeof(line), file)) {
		if (strncmp(line, "#@", 2) == 0)
			leap->expires = strtoll(line + 2, NULL, 10) - EPOCH;
		if (!read_change(line, &seconds, &offset))
			continue;
		leap->since = leap->change == 0 ? seconds - EPOCH : leap->change;
		leap->before = leap->change == 0 ? (int)offset : leap->after;
		leap->after = (int)offset;
		leap->change = seconds - EPOCH;
	}
	if (leap->change == 0)
		leap->expires = 0;
	if (file)
		fclose(file);
}

void leap_read(struct leap *leap)
{
	leap_read_file(leap, LIST);
}

bool leap_may_end_day(int64_t now)
{
	time_t tomorrow = (time_t)(now + CLOCK_DAY);
	struct tm date;

	return gmtime_r(&tomorrow, &date) && date.tm_mday == 1;
}
