#include "client/timespan.h"

#include <errno.h>
#include <stddef.h>

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

int timespan_poll(struct pollfd *descriptors, nfds_t count, int64_t until)
{
	int ready;

	do {
		int64_t left = until - clock_monotonic();
		struct timespec timeout = timespan_to_timespec(left > 0 ? left : 0);

		ready = ppoll(descriptors, count, &timeout, NULL);
	} while (ready < 0 && errno == EINTR);
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
