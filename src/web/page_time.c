/* The time for programs: our own form, NICT's form, and whether it is to be believed. */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "stats/stats_json.h"
#include "web/http.h"
#include "web/page.h"
#include "web/query.h"

#define TIME_SCHEMA 1

/* Sixteen digits tell the time of day to the microsecond, and no number here has more. */
#define JSON_FLAGS (JSON_COMPACT | JSON_REAL_PRECISION(16))

static double seconds(int64_t nanoseconds)
{
	return (double)nanoseconds / CLOCK_SECOND;
}

static void write_json(struct http_response *response, json_t *object)
{
	char *text = object ? json_dumps(object, JSON_FLAGS) : NULL;

	json_decref(object);
	if (!text) {
		http_fail(response, HTTP_INTERNAL, "Out of memory.");
		return;
	}
	evbuffer_add_printf(response->body, "%s\n", text);
	free(text);
	response->type = "application/json";
}

/* TAI minus UTC, or null. */
static json_t *describe_tai_offset(const struct leap *leap, int64_t now)
{
	return leap_is_known(leap, now) ? json_integer(leap_offset(leap, now)) : json_null();
}

/* The stamps, and how far to trust them. */
void page_time_write(struct http_response *response)
{
	char origin[QUERY_STAMP_SIZE];
	struct stats_reason reason;
	struct clock_state state;
	json_t *object;

	if (!query_read_origin(http_query(response), origin)) {
		http_fail(response, HTTP_BADREQUEST,
			  "origin: expected digits and points, 32 at most");
		return;
	}
	clock_state_read(&response->server->stats->clock, clock_monotonic(), &state);
	stats_read_reason(response->server->stats, &reason);
	object = json_pack("{s:i, s:s, s:f, s:i, s:i, s:b, s:s?, s:f, s:o, s:f}", "schema",
			   TIME_SCHEMA, "origin", origin, "receive",
			   seconds(response->arrival.clock), "leap", (int)state.leap, "stratum",
			   (int)state.stratum, "synchronised", clock_state_is_synchronised(&state),
			   "reason", clock_state_is_synchronised(&state) ? NULL : reason.text,
			   "root_distance", stats_json_short(stats_json_root_distance(&state)),
			   "tai_offset",
			   describe_tai_offset(&response->server->leap,
					       response->arrival.clock / CLOCK_SECOND),
			   "transmit", seconds(clock_realtime()));
	write_json(response, object);
}

/* As NICT's servers answer: "/cgi-bin/json?1795469446.123". */
void page_time_write_nict(struct http_response *response)
{
	const struct leap *leap = &response->server->leap;
	int64_t now = response->arrival.clock / CLOCK_SECOND;
	char initiated[QUERY_STAMP_SIZE] = "0.000";
	const char *query = http_query(response);
	json_t *object;

	if (query[0] != '\0' && !query_read_stamp(query, initiated)) {
		http_fail(response, HTTP_BADREQUEST, "expected a time stamp: digits and a point");
		return;
	}
	object = json_pack("{s:s, s:f, s:f}", "id", http_host(response), "it",
			   strtod(initiated, NULL), "st", seconds(clock_realtime()));
	if (leap_is_known(leap, now))
		json_object_update_new(object,
				       json_pack("{s:i, s:I, s:i}", "leap", leap_offset(leap, now),
						 "next", (json_int_t)leap->change, "step",
						 leap->after - leap->before));
	write_json(response, object);
}

void page_time_write_health(struct http_response *response)
{
	struct stats_reason reason;
	struct clock_state state;

	clock_state_read(&response->server->stats->clock, clock_monotonic(), &state);
	stats_read_reason(response->server->stats, &reason);
	if (clock_state_is_synchronised(&state)) {
		evbuffer_add_printf(response->body, "synchronised, stratum %u\n", state.stratum);
		return;
	}
	response->code = HTTP_SERVUNAVAIL;
	evbuffer_add_printf(response->body, "not synchronised: %s\n", reason.text);
}

/* Who asks is told, and shown, only if the operator has said so. */
void page_time_write_status(struct http_response *response)
{
	const struct stats *stats = response->server->stats;
	json_t *status = describe_ledger(stats, response->server->counters);
	struct top_clients_list top_clients;
	struct stats_info info;

	stats_read_info(stats, &info);
	json_object_set_new(status, "history", stats_json_history(&stats->history));
	if (info.show_clients) {
		stats_read_top_clients(stats, &top_clients);
		json_object_set_new(status, "talkers", stats_json_top_clients(&top_clients));
	}
	write_json(response, status);
}
