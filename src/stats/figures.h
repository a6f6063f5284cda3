/* The figures: everything that the daemon shows of itself, a row each. The JSON of the control
 * socket and of /status.json, the text of "--signal status", /metrics and the status page are all
 * written from this table. To add a counter: the counter, a row, and its line in the manual. */
#ifndef STATS_FIGURES_H
#define STATS_FIGURES_H

#include <stddef.h>

#include "stats/stats.h"

/* Changes when a reader of the JSON as it was would be misled. New members don't change it. */
#define FIGURES_VERSION 1

/* The clock state as it is shown. */
struct figures_clock {
	bool synchronised;
	uint64_t stratum, leap;				   /* as in an NTP reply */
	double root_delay, root_dispersion, root_distance; /* seconds */
	struct stats_reason reason; /* why it is not synchronised; empty if it is */
};

/* The value of every figure at one moment. */
struct figures {
	uint64_t version;
	char program[16];
	char state[16]; /* "serving"; empty where it is not known */
	uint64_t uptime;
	uint64_t started_clock; /* seconds since 1970, by the system clock as it is now */
	char started[32];	/* the same in ISO 8601, UTC */
	struct stats_info info;
	struct figures_clock clock;
	struct counters sum; /* of all workers and the web process */
	uint64_t replies;    /* by any protocol */
	int worker_count;
	uint64_t per_worker[STATS_WORKERS];
	uint64_t http_requests, http_connections, http_starts, http_crashes;
	uint64_t http_per_path[WEB_PATHS][WEB_OUTCOMES];
	struct histogram http_response_time;
	int client_count; /* -1: not to be shown */
	struct {
		char network[ADDRESS_TEXT_SIZE];
		double share; /* of all requests: 0 to 1 */
	} clients[TOP_CLIENTS_SHOWN];
};

/* The family of a figure: it has a value for each of these. */
enum figures_per {
	FIGURES_SINGLE,
	FIGURES_STATE, /* single, and known to the control socket only */
	FIGURES_PER_PROTOCOL,
	FIGURES_PER_REASON, /* enum drop */
	FIGURES_PER_WORKER,
	FIGURES_PER_LISTENER,
	FIGURES_PER_CLIENT,
	FIGURES_PER_PATH, /* each enum web_path with each enum web_outcome */
};

enum figures_type {
	FIGURES_NUMBER,
	FIGURES_COUNTER,
	FIGURES_BOOL,
	FIGURES_REAL,
	FIGURES_TEXT,
	FIGURES_HISTOGRAM
};

struct figure {
	/* Path in the JSON: "name" or "group.name"; of a family "group.KEY.name" or "group.KEY".
	 * Both NULL: neither in the JSON nor on the page. */
	const char *group, *name;

	/* Type and offset in struct figures; distance to the next value of a family. */
	enum figures_type type;
	size_t offset, stride;

	/* Name in the metrics, after "timeserver_"; NULL: not there. A counter's ends with
	 * "_total". */
	const char *metric;
	const char *help; /* in the metrics and on the page */

	/* In the metrics: labels of a number; the name of the label that holds a text. */
	const char *label;

	/* Line of "--signal status", where "{x}" is member x beside the figure, "{}" the figure and
	 * "{*}" its key in the group; NULL: none. No line for 0 if skip_zero is set. */
	const char *text;
	bool skip_zero;

	enum figures_per per;
};

extern const struct figure figures_table[];
extern const size_t figures_table_size;

/* A value by its type. Pointers are into the struct figures that it is from. */
struct figures_value {
	enum figures_type type; /* that of a counter is FIGURES_NUMBER */
	union {
		uint64_t number;
		bool truth;
		double real;
		const char *text;
		const struct histogram *histogram;
	};
};

/* Reads all figures but state and clients, which are left out. */
void figures_read(struct figures *figures, const struct stats *stats,
		  const struct web_counters *web);

/* Reads the clock state at now, on the monotonic clock. */
void figures_read_clock(struct figures_clock *clock, const struct stats *stats, int64_t now);

/* Adds the top clients. */
void figures_set_clients(struct figures *figures, const struct top_clients_list *list);

/* Number of values of a figure; -1 if it is not to be shown at all. */
int figures_count(const struct figures *figures, const struct figure *figure);

/* A value by its index, 0 to figures_count - 1. */
struct figures_value figures_value(const struct figures *figures, const struct figure *figure,
				   int index);

/* The key of a value in the JSON: "daytime/tcp", "denied"; NULL if it has none. */
const char *figures_key(const struct figure *figure, int index);

/* Whether the values are elements of an array in the JSON. */
bool figures_is_list(const struct figure *figure);

#endif
