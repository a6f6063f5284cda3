/* A limit of all threads together: a number of replies each second, and after a pause the replies
 * of a second at once. A thread takes from it in advance, about a thousandth of a second's replies
 * at a time, so that threads seldom write the same memory. What all threads together get is never
 * more than the limit plus what they have in advance. */
#ifndef BASE_CEILING_H
#define BASE_CEILING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define CEILING_RATE_MAX 1000000

/* Starts as zeros. */
struct ceiling {
	/* As in limiter.c: each reply adds an interval; it is never ahead of now. */
	_Atomic int64_t free_at;
};

/* Takes replies in advance at now, nanoseconds on the monotonic clock, with a rate of 1 to
 * CEILING_RATE_MAX a second. Returns how many; 0: the limit is reached. */
uint32_t ceiling_take(struct ceiling *ceiling, uint32_t rate, int64_t now);

#endif
