/* --check: one line for a monitoring system, as its plugins print it. */
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

/* Judges a report: critical, if there is no answer or it is off by more than critical nanoseconds;
 * a warning, if by more than warning; unknown, if the answer tells no offset, or one whose bound is
 * wider than critical. */
enum check_state check_evaluate(const struct result *result, int64_t warning, int64_t critical);

/* Prints the line, with performance data, and returns the worst state: critical before warning
 * before unknown. If standard output cannot be written it is unknown. */
enum check_state check_print(const struct result *results, size_t count, int64_t warning,
			     int64_t critical);

#endif
