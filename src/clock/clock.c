#include "clock/clock.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"

static int64_t read_clock(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return now.tv_sec * CLOCK_SECOND + now.tv_nsec;
}

int64_t clock_realtime(void)
{
	return read_clock(CLOCK_REALTIME);
}

int64_t clock_monotonic(void)
{
	return read_clock(CLOCK_MONOTONIC);
}

int64_t clock_boottime(void)
{
	return read_clock(CLOCK_BOOTTIME);
}

#define NTP_UNIX_ZERO UINT64_C(2208988800) /* 1970-01-01 on NTP's scale */

/* Nanoseconds below a second, shifted by 32, fit into 64 bits. */
static uint64_t fraction_of(uint64_t nanoseconds)
{
	return (nanoseconds << 32) / (uint64_t)CLOCK_SECOND;
}

clock_ntp_time clock_to_ntp(const struct timespec *time)
{
	uint64_t seconds = (uint64_t)time->tv_sec + NTP_UNIX_ZERO;

	return seconds << 32 | fraction_of((uint64_t)time->tv_nsec);
}

clock_ntp_span clock_span_to_ntp(int64_t nanoseconds)
{
	uint64_t magnitude = (uint64_t)(nanoseconds < 0 ? -nanoseconds : nanoseconds);
	uint64_t span = magnitude / (uint64_t)CLOCK_SECOND << 32 |
			fraction_of(magnitude % (uint64_t)CLOCK_SECOND);

	return nanoseconds < 0 ? -(clock_ntp_span)span : (clock_ntp_span)span;
}

int64_t clock_span_from_ntp(clock_ntp_span span)
{
	uint64_t magnitude = span < 0 ? -(uint64_t)span : (uint64_t)span;
	uint64_t fraction = (magnitude & UINT32_MAX) * (uint64_t)CLOCK_SECOND >> 32;
	int64_t nanoseconds = (int64_t)((magnitude >> 32) * (uint64_t)CLOCK_SECOND + fraction);

	return span < 0 ? -nanoseconds : nanoseconds;
}

clock_ntp_short clock_short_from_span(clock_ntp_span span)
{
	uint64_t magnitude = span < 0 ? -(uint64_t)span : (uint64_t)span;
	uint64_t units = (magnitude >> 16) + ((magnitude & UINT16_MAX) != 0);

	return units > UINT32_MAX ? UINT32_MAX : (clock_ntp_short)units;
}

clock_ntp_short clock_short_add(clock_ntp_short a, clock_ntp_short b)
{
	return b > UINT32_MAX - a ? UINT32_MAX : a + b;
}

clock_ntp_time clock_read_second(struct clock_second *second)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	if (!second->valid || now.tv_sec != second->seconds) {
		second->seconds = now.tv_sec;
		second->valid = localtime_r(&now.tv_sec, &second->local) != NULL;
	}
	return clock_to_ntp(&now);
}

clock_ntp_time clock_read_ntp(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return clock_to_ntp(&now);
}

int8_t clock_measure_precision(void)
{
	struct timespec resolution, before, after;
	int64_t least = CLOCK_SECOND, span;
	int8_t precision = 0;

	clock_getres(CLOCK_REALTIME, &resolution);
	for (int i = 0; i < 100; i++) {
		clock_gettime(CLOCK_REALTIME, &before);
		clock_gettime(CLOCK_REALTIME, &after);
		span = (after.tv_sec - before.tv_sec) * CLOCK_SECOND + after.tv_nsec -
		       before.tv_nsec;
		if (span > resolution.tv_nsec && span < least)
			least = span;
	}
	for (span = CLOCK_SECOND; span > least; span /= 2)
		precision--;
	return precision;
}

/* TZ in the environment: "TZ=/./etc/localtime". With the other spelling, "TZ=///etc/localtime", the
 * C library reads the file again. One byte changes, and the environment never does: other threads
 * may call getenv(3). */
static char zone_variable[sizeof("TZ=/.") - 1 + PATH_MAX];

#define ZONE_TOGGLED (sizeof("TZ=/") - 1) /* index of the byte */

/* Where the C library finds the zone: see tzset(3). */
static void find_zone(char path[static PATH_MAX])
{
	const char *zone = getenv("TZ"), *directory = getenv("TZDIR");

	if (zone_variable[0] != '\0') {
		strcpy(path, zone_variable + ZONE_TOGGLED + 1);
		return;
	}
	if (!zone)
		zone = "/etc/localtime";
	if (*zone == ':')
		zone++;
	if (*zone == '/')
		snprintf(path, PATH_MAX, "%s", zone);
	else
		snprintf(path, PATH_MAX, "%s/%s", directory ? directory : "/usr/share/zoneinfo",
			 zone);
}

/* A program with capabilities of its file may read /etc/localtime by that name only. */
void clock_open_zone(void)
{
	char path[PATH_MAX];
	struct stat status;

	find_zone(path);
	if (zone_variable[0] != '\0' || path[0] != '/' || getauxval(AT_SECURE) ||
	    (getenv("TZ") && (stat(path, &status) < 0 || !S_ISREG(status.st_mode))))
		return;
	snprintf(zone_variable, sizeof(zone_variable), "TZ=/.%s", path);
	putenv(zone_variable);
}

bool clock_check_zone(char *text, size_t size)
{
	char path[PATH_MAX];
	struct stat status;

	find_zone(path);
	if (stat(path, &status) == 0 && file_can_block(&status))
		snprintf(text, size, "cannot read the time zone from %s: Is %s", path,
			 file_kind(&status));
	else if (access(path, R_OK) < 0 && errno == EACCES)
		snprintf(text, size, "cannot read the time zone from %s: %s", path,
			 strerror(EACCES));
	else
		return true;
	return false;
}

void clock_reload_zone(void)
{
	char problem[PATH_MAX];

	if (!clock_check_zone(problem, sizeof(problem))) {
		log_write(LOG_WARNING, "%s", problem);
		return;
	}
	if (zone_variable[0] != '\0')
		zone_variable[ZONE_TOGGLED] ^= '.' ^ '/';
	tzset();
}
