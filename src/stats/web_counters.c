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

const char *web_counters_path_name(enum web_path path)
{
	static const char *const names[WEB_PATHS] = {
		[WEB_CLOCK] = "/",
		[WEB_TIME] = "/time.json",
		[WEB_NICT] = "/cgi-bin/json",
		[WEB_STATUS] = "/status",
		[WEB_STATUS_JSON] = "/status.json",
		[WEB_METRICS] = "/metrics",
		[WEB_HEALTH] = "/healthz",
		[WEB_OTHER] = "other",
	};

	return names[path];
}
