#include "web/leap.h"

#include <stdio.h>
#include <stdlib.h>

#define LIST  "/usr/share/zoneinfo/leap-seconds.list"
#define EPOCH INT64_C(2208988800) /* from 1900, where the list counts from, to 1970 */

/* A line that is no comment is "SECONDS OFFSET": since 1900, and valid from there on. */
void leap_read_file(struct leap *leap, const char *path, int64_t now)
{
	FILE *file = fopen(path, "re");
	char line[256], *end;
	int before = 0;

	*leap = (struct leap){ 0 };
	while (file && fgets(line, sizeof(line), file)) {
		long long seconds = strtoll(line, &end, 10);
		int offset = (int)strtol(end, NULL, 10);

		if (end == line)
			continue;
		leap->change = seconds - EPOCH;
		leap->step = offset - before;
		before = offset;
		if (leap->change > now)
			break;
		leap->offset = offset;
		leap->known = true;
	}
	if (file)
		fclose(file);
}

void leap_read(struct leap *leap, int64_t now)
{
	leap_read_file(leap, LIST, now);
}
