/* Leap seconds: when one can be, and TAI - UTC from the system's list. Times are in seconds since
 * 1970. */
#ifndef WEB_LEAP_H
#define WEB_LEAP_H

#include <stdbool.h>
#include <stdint.h>

struct leap {
	int64_t since;	 /* the list knows TAI - UTC from then on: its last change but one */
	int before;	 /* TAI - UTC in seconds, before the last change in the list */
	int after;	 /* and after it */
	int64_t change;	 /* when that was or will be */
	int64_t expires; /* when the list expires; 0: there is no valid list */
};

/* Reads the system's list, if there is one. */
void leap_read(struct leap *leap);

/* The same for a list at path. */
void leap_read_file(struct leap *leap, const char *path);

/* Whether the list is valid at a time, and that is no longer ago than since: a clock of 1970, which
 * was never set, has no TAI - UTC. */
static inline bool leap_is_known(const struct leap *leap, int64_t now)
{
	return leap->since <= now && now < leap->expires;
}

/* TAI - UTC at a time, while the list is valid. */
static inline int leap_offset(const struct leap *leap, int64_t now)
{
	return now < leap->change ? leap->before : leap->after;
}

/* Whether the day of a time, in UTC, can end with a leap second: it is the last of a month (ITU-R
 * TF.460). */
bool leap_may_end_day(int64_t now);

#endif
