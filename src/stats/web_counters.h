/* The counters of the web process: memory that it writes and the daemon reads, and that outlives
 * it. During a reload the old and the new web process count at once. The daemon doesn't trust them:
 * it only shows the numbers. */
#ifndef STATS_WEB_COUNTERS_H
#define STATS_WEB_COUNTERS_H

#include "base/counter.h"
#include "base/histogram.h"

/* The routes; their paths are in web/http.c. */
enum web_path {
	WEB_CLOCK,
	WEB_TIME,
	WEB_NICT,
	WEB_STATUS,
	WEB_STATUS_JSON,
	WEB_METRICS,
	WEB_HEALTH,
	WEB_OTHER, /* no route */
	WEB_PATHS,
};

enum web_outcome {
	WEB_GOOD,    /* 2xx */
	WEB_REFUSED, /* 4xx */
	WEB_FAILED,  /* 5xx */
	WEB_OUTCOMES,
};

struct web_counters {
	struct counter requests[WEB_PATHS][WEB_OUTCOMES];
	struct counter connections;	/* open now */
	struct histogram response_time; /* from a request's first byte to its reply */
};

/* All requests. */
uint64_t web_counters_requests(const struct web_counters *counters);

#endif
