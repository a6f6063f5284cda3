/* --check: a plugin for monitoring systems such as Nagios. */
#ifndef CLIENT_CHECK_H
#define CLIENT_CHECK_H

#include <stddef.h>
#include <stdint.h>

#include "client/result.h"

/* The exit statuses of plugins. */
enum check_state {
	CHECK_OK = 0,
	CHECK_WARNING = 1,
	CHECK_CRITICAL = 2,
	CHECK_UNKNOWN = 3,
};

/* The state of a result: critical without a valid reply, or with an offset above critical
 * nanoseconds; a warning above warning; unknown without an offset, or with a bound above
 * critical. */
enum check_state check_evaluate(const struct result *result, int64_t warning, int64_t critical);

/* Prints the line with performance data. Returns the worst state: critical, warning, unknown, ok,
 * in this order; unknown if standard output cannot be written. */
enum check_state check_print(const struct result *results, size_t count, int64_t warning,
			     int64_t critical);

#endif
