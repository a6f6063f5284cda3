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

/* Offsets in nanoseconds. */
struct check_limits {
	int64_t warning, critical; /* how far from the expected one */
	int64_t expected;
};

/* The state of a result: critical without a valid reply; unknown without an offset.
 * Otherwise the distance of the offset from the expected one, for Time and Daytime less the bound,
 * is compared with the limits; below them, unknown if the bound is above the critical one. */
enum check_state check_evaluate(const struct result *result, const struct check_limits *limits);

/* Prints the line with performance data. Returns the worst state: critical, warning, unknown, ok,
 * in this order; unknown if standard output cannot be written. */
enum check_state check_print(const struct result *results, size_t count,
			     const struct check_limits *limits);

#endif
