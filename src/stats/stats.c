#include "stats/stats.h"

unsigned stats_workers(const struct stats *stats)
{
	unsigned count = atomic_load_explicit(&stats->worker_count, memory_order_acquire);

	return count < STATS_WORKERS ? count : STATS_WORKERS;
}

void stats_sum(const struct stats *stats, const struct web_counters *web, struct counters *sum)
{
	unsigned count = stats_workers(stats);

	for (unsigned i = 0; i < count; i++)
		counters_add(sum, &stats->workers[i].counters);
	for (size_t i = 0; i < PROTOCOL_COUNT; i++) {
		if (protocol_table[i].reply)
			continue;
		counter_add(&sum->requests[i], web_counters_requests(web));
		counter_add(&sum->replies[i], web_counters_requests(web));
	}
}
