#include "client/timespan.h"

#include <errno.h>
#include <stddef.h>

#define POLL_MAX (CLOCK_DAY * 1000) /* milliseconds */

struct timespec timespan_to_timespec(int64_t span)
{
	return (struct timespec){
		.tv_sec = span / CLOCK_SECOND,
		.tv_nsec = span % CLOCK_SECOND,
	};
}

struct timespec timespan_add(struct timespec time, int64_t span)
{
	int64_t nanoseconds = time.tv_nsec + span % CLOCK_SECOND;
	int64_t carry = nanoseconds < 0 ? -1 : nanoseconds / CLOCK_SECOND;

	time.tv_sec += span / CLOCK_SECOND + carry;
	time.tv_nsec = nanoseconds - carry * CLOCK_SECOND;
	return time;
}

/* Not ppoll(2): with 64-bit times on a 32-bit machine, glibc 2.36 ends it at once. */
int timespan_poll(struct pollfd *descriptors, nfds_t count, int64_t until)
{
	int64_t left;
	int ready;

	/* Rounded up to milliseconds, and at most a day of them at a time. */
	do {
		left = (until - clock_monotonic() + CLOCK_MILLISECOND - 1) / CLOCK_MILLISECOND;
		ready = poll(descriptors, count,
			     left < 0	     ? 0 :
			     left > POLL_MAX ? POLL_MAX :
					       (int)left);
	} while ((ready < 0 && errno == EINTR) || (ready == 0 && left > POLL_MAX));
	return ready;
}

static bool is_digit(char character)
{
	return character >= '0' && character <= '9';
}

bool timespan_parse(const char *text, int64_t minimum, int64_t maximum, int64_t *span)
{
	int64_t value = 0, unit = CLOCK_SECOND;
	const char *end = text;

	for (; is_digit(*end); end++) {
		value = value * 10 + (*end - '0') * CLOCK_SECOND;
		if (value > maximum)
			return false;
	}
	if (*end == '.') {
		for (end++; is_digit(*end); end++) {
			unit /= 10;
			value += (*end - '0') * unit;
		}
	}
	/* The text has to end here, and with a digit. */
	if (*end != '\0' || end == text || !is_digit(end[-1]) || value < minimum || value > maximum)
		return false;
	*span = value;
	return true;
}
