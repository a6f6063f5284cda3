/* For programs: the time in our own form and in NICT's, the health, and the status. */
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "stats/figures_json.h"
#include "web/http.h"
#include "web/page.h"
#include "web/query.h"

#define TIME_SCHEMA 1

/* Sixteen digits give the time of day to the microsecond; no number here has more. */
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
static json_t *json_tai_offset(const struct leap *leap, int64_t now)
{
	return leap_is_known(leap, now) ? json_integer(leap_offset(leap, now)) : json_null();
}

/* The stamps, and the error bound of the clock. */
void page_data_write_time(struct http_response *response)
{
	char origin[QUERY_STAMP_SIZE];
	struct figures_clock clock;
	json_t *object;

	if (!query_read_origin(http_query(response), origin)) {
		http_fail(response, HTTP_BADREQUEST,
			  "origin: expected digits and points, 32 at most");
		return;
	}
	figures_read_clock(&clock, response->server->stats, clock_monotonic());
	object = json_pack("{s:i, s:s, s:f, s:I, s:I, s:b, s:s?, s:f, s:o, s:f}", "schema",
			   TIME_SCHEMA, "origin", origin, "receive",
			   seconds(response->arrival.clock), "leap", (json_int_t)clock.leap,
			   "stratum", (json_int_t)clock.stratum, "synchronised", clock.synchronised,
			   "reason", clock.synchronised ? NULL : clock.reason.text, "root_distance",
			   clock.root_distance, "tai_offset",
			   json_tai_offset(&response->server->leap,
					   response->arrival.clock / CLOCK_SECOND),
			   "transmit", seconds(clock_realtime()));
	write_json(response, object);
}

/* As the servers of NICT reply: "/cgi-bin/json?1795469446.123". */
void page_data_write_nict(struct http_response *response)
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

void page_data_write_health(struct http_response *response)
{
	struct figures_clock clock;

	figures_read_clock(&clock, response->server->stats, clock_monotonic());
	if (clock.synchronised) {
		evbuffer_add_printf(response->body, "synchronised, stratum %" PRIu64 "\n",
				    clock.stratum);
		return;
	}
	response->code = HTTP_SERVUNAVAIL;
	evbuffer_add_printf(response->body, "not synchronised: %s\n", clock.reason.text);
}

void page_data_write_status(struct http_response *response)
{
	const struct history *history = &response->server->stats->history;
	struct figures figures;
	json_t *status;

	page_status_read_figures(response, &figures);
	status = figures_json(&figures);
	json_object_set_new(status, "history", figures_json_history(history));
	write_json(response, status);
}
