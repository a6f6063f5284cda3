/* Which of several clocks can be right together: Marzullo's algorithm, as NTP uses it (RFC 5905
 * section 11.2.1). */
#ifndef CLIENT_INTERSECT_H
#define CLIENT_INTERSECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Where the true offset lies if a clock is right: from low to high, both included. */
struct interval {
	int64_t low, high; /* nanoseconds */
};

/* Sets common to the smallest span that most of count intervals have in common; of several such the
 * lowest. Returns how many these are: 0 only where count is 0. */
size_t intersect(const struct interval *intervals, size_t count, struct interval *common);

static inline bool interval_meets(const struct interval *one, const struct interval *other)
{
	return one->low <= other->high && other->low <= one->high;
}

#endif
