/* What a stats says, as JSON: the same for the control socket and for /status.json. */
#ifndef STATS_STATS_JSON_H
#define STATS_STATS_JSON_H

#include <jansson.h>

#include "stats/stats.h"
#include "stats/web_counters.h"

/* Of the form below; it grows with what there is to tell, and this number changes when a reader of
 * the form before would be misled. */
#define STATS_JSON_VERSION 1

/* Times are in seconds. Returns a new object, or NULL if memory is short. */
json_t *describe_ledger(const struct stats *stats, const struct web_counters *web);

/* Who asks the most, as an array of networks and their share of all requests. */
json_t *stats_json_top_clients(const struct top_clients_list *list);

/* The last hour, as an object of arrays, a number for each interval. */
json_t *stats_json_history(const struct history *history);

/* A short span as seconds, and a time as ISO 8601 in UTC. */
double stats_json_short(clock_ntp_short span);
const char *stats_json_time(int64_t seconds, char text[static 32]);

/* The distance to the reference clock: how far this clock can be from it at most (RFC 5905 section
 * 11.1: half the root delay and the root dispersion). */
clock_ntp_short stats_json_root_distance(const struct clock_state *state);

#endif
