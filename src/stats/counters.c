#include "stats/counters.h"

static const char *const drop_names[DROP_COUNT] = {
	[DROP_DENIED] = "denied",   [DROP_LIMITED] = "limited",
	[DROP_CEILING] = "ceiling", [DROP_LOOP] = "loop",
	[DROP_INVALID] = "invalid", [DROP_UNSYNCHRONISED] = "unsynchronised",
	[DROP_FAILED] = "failed",
};

const char *counters_drop_name(enum drop reason)
{
	return drop_names[reason];
}

_Static_assert(sizeof(struct counters) % sizeof(struct counter) == 0, "an array of counters");

void counters_add(struct counters *sum, const struct counters *part)
{
	struct counter *to = (struct counter *)sum;
	const struct counter *from = (const struct counter *)part;

	for (size_t i = 0; i < sizeof(*sum) / sizeof(*to); i++)
		counter_add(&to[i], counter_read(&from[i]));
}

static uint64_t sum_up(const struct counter *counters, size_t count)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < count; i++)
		sum += counter_read(&counters[i]);
	return sum;
}

uint64_t counters_requests(const struct counters *counters)
{
	return sum_up(counters->requests, PROTOCOL_COUNT);
}

uint64_t counters_replies(const struct counters *counters)
{
	return sum_up(counters->replies, PROTOCOL_COUNT);
}

uint64_t counters_drops(const struct counters *counters)
{
	return sum_up(counters->drops, DROP_COUNT);
}
