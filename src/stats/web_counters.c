#include "stats/web_counters.h"

uint64_t web_counters_requests(const struct web_counters *counters)
{
	uint64_t requests = 0;

	for (size_t path = 0; path < WEB_PATHS; path++) {
		for (size_t outcome = 0; outcome < WEB_OUTCOMES; outcome++)
			requests += counter_read(&counters->requests[path][outcome]);
	}
	return requests;
}
