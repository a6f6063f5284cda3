#include "stats/counters.h"

static const char *const drop_names[DROP_COUNT] = {
	[DROP_DENIED] = "denied",
	[DROP_LIMITED] = "limited",
	[DROP_LOOP] = "loop",
	[DROP_INVALID] = "invalid",
	[DROP_UNSYNCHRONISED] = "unsynchronised",
	[DROP_FAILED] = "failed",
};

const char *counters_drop_name(enum drop reason)
{
	return drop_names[reason];
}

static void add(struct counter *sum, const struct counter *part, size_t count)
{
	for (size_t i = 0; i < count; i++)
		counter_add(&sum[i], counter_read(&part[i]));
}

void counters_add(struct counters *sum, const struct counters *part)
{
	add(sum->requests, part->requests, PROTOCOL_COUNT);
	add(sum->replies, part->replies, PROTOCOL_COUNT);
	add(sum->drops, part->drops, DROP_COUNT);
	add(&sum->kod_sent, &part->kod_sent, 1);
	add(&sum->connections, &part->connections, 1);
	histogram_add(&sum->response_time, &part->response_time);
	histogram_add(&sum->transmit_stamp_error, &part->transmit_stamp_error);
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
