#include "clock/clock.h"

#include <stdlib.h>
#include <string.h>

void clock_read_second(struct clock_second *second)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	if (second->valid && now.tv_sec == second->seconds)
		return;
	second->seconds = now.tv_sec;
	second->valid = localtime_r(&now.tv_sec, &second->local) != NULL;
}

int64_t clock_monotonic(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * CLOCK_SECOND + now.tv_nsec;
}

/* The C library looks at the file again only when the name of the zone changes, so it is changed:
 * to another one, and back. */
void clock_reload_zone(void)
{
	char *zone = getenv("TZ");
	char *kept = zone ? strdup(zone) : NULL;

	if (zone && !kept)
		return;
	setenv("TZ", "UTC0", 1);
	tzset();
	if (kept)
		setenv("TZ", kept, 1);
	else
		unsetenv("TZ");
	tzset();
	free(kept);
}
