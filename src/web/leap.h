/* Leap seconds: when they can be, and what the system's list of them says: TAI - UTC. */
#ifndef WEB_LEAP_H
#define WEB_LEAP_H

#include <stdbool.h>
#include <stdint.h>

/* Times are in seconds since 1970. */
struct leap {
	int before,
		after;	 /* TAI - UTC until the list's last change, and from then on, in seconds */
	int64_t change;	 /* when that is, or was */
	int64_t expires; /* from when on the list is not to be believed; 0: there is none */
};

/* Reads the system's list. */
void leap_read(struct leap *leap);

/* The same for a list at path. */
void leap_read_file(struct leap *leap, const char *path);

/* Whether the list says anything about now. */
static inline bool leap_is_known(const struct leap *leap, int64_t now)
{
	return now < leap->expires;
}

/* TAI - UTC then, if that is known. */
static inline int leap_offset(const struct leap *leap, int64_t now)
{
	return now < leap->change ? leap->before : leap->after;
}

/* Whether the day of now, in UTC, can end with a leap second: is the last of a month (ITU-R
 * TF.460). */
bool leap_may_end_day(int64_t now);

#endif
