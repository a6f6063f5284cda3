/* What the system's list of leap seconds says: the difference of TAI and UTC. */
#ifndef WEB_LEAP_H
#define WEB_LEAP_H

#include <stdbool.h>
#include <stdint.h>

struct leap {
	bool known;
	int offset;	/* TAI - UTC now, seconds */
	int64_t change; /* the next change that is known, or else the last one, since 1970 */
	int step;	/* what it adds */
};

/* Reads the list as it is at now, in seconds since 1970; where there is none, nothing is known. */
void leap_read(struct leap *leap, int64_t now);

/* The same for a list at path. */
void leap_read_file(struct leap *leap, const char *path, int64_t now);

#endif
