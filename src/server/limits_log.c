#include "server/limits_log.h"

#include "base/log.h"
#include "clock/clock.h"

#define QUIET_TIME (600 * CLOCK_SECOND)

static const struct {
	const char *what, *directive;
} texts[LIMITS_LOG_LINES] = {
	[LIMITS_LOG_OWN] = { "requests of own networks over their limit", "ratelimit" },
	[LIMITS_LOG_CEILING] = { "requests of Daytime and Time over UDP over their ceiling",
				 "ratelimit-ceiling" },
};

void limits_log_tick(struct limits_log *log, const struct stats *stats, int64_t now)
{
	uint64_t counts[LIMITS_LOG_LINES] = { 0 };

	for (unsigned i = 0; i < stats_workers(stats); i++) {
		const struct counters *counters = &stats->workers[i].counters;

		counts[LIMITS_LOG_OWN] += counter_read(&counters->own_limited);
		counts[LIMITS_LOG_CEILING] += counter_read(&counters->drops[DROP_CEILING]);
	}
	for (int i = 0; i < LIMITS_LOG_LINES; i++) {
		if (counts[i] == log->lines[i].count || now < log->lines[i].quiet_until)
			continue;
		log_write(LOG_WARNING, "%s: %llu; see %s in timeserver.conf(5)", texts[i].what,
			  (unsigned long long)(counts[i] - log->lines[i].count),
			  texts[i].directive);
		log->lines[i].count = counts[i];
		log->lines[i].quiet_until = now + QUIET_TIME;
	}
}
