/* Logs that own networks are limited or the ceiling is reached: at most one line in ten minutes for
 * each, written by the main thread's timer, never by a request. */
#ifndef SERVER_LIMITS_LOG_H
#define SERVER_LIMITS_LOG_H

#include <stdint.h>

#include "stats/stats.h"

enum limits_log_line {
	LIMITS_LOG_OWN,
	LIMITS_LOG_CEILING,
	LIMITS_LOG_LINES,
};

/* Starts as zeros. */
struct limits_log {
	struct {
		uint64_t count; /* of requests, at the last line */
		int64_t quiet_until;
	} lines[LIMITS_LOG_LINES];
};

/* Logs what is new at now, on the monotonic clock. */
void limits_log_tick(struct limits_log *log, const struct stats *stats, int64_t now);

#endif
