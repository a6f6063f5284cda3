/* Every figure, in the text format of Prometheus. A series is there from the start, at 0. */
#include <inttypes.h>

#include "stats/stats_json.h"
#include "web/http.h"
#include "web/page.h"

/* What is read once for all of them. */
struct figures {
	struct evbuffer *body;
	const struct stats *stats;
	const struct web_counters *web;
	struct stats_info info;
	struct clock_state state;
	struct counters sum;
};

static void begin(const struct figures *figures, const char *name, const char *type,
		  const char *help)
{
	evbuffer_add_printf(figures->body, "# HELP timeserver_%s %s\n# TYPE timeserver_%s %s\n",
			    name, help, name, type);
}

static void add_gauge(const struct figures *figures, const char *name, const char *help,
		      double value)
{
	begin(figures, name, "gauge", help);
	evbuffer_add_printf(figures->body, "timeserver_%s %.15g\n", name, value);
}

static void add_counter(const struct figures *figures, const char *name, const char *help,
			uint64_t value)
{
	begin(figures, name, "counter", help);
	evbuffer_add_printf(figures->body, "timeserver_%s %" PRIu64 "\n", name, value);
}

/* label is that of all its series: "name=\"value\"", or empty. */
static void add_histogram(const struct figures *figures, const char *name, const char *help,
			  const char *label, const struct histogram *histogram)
{
	const char *comma = label[0] != '\0' ? "," : "";
	const char *opening = label[0] != '\0' ? "{" : "", *closing = label[0] != '\0' ? "}" : "";
	struct evbuffer *body = figures->body;
	uint64_t total = 0;

	begin(figures, name, "histogram", help);
	for (size_t i = 0; i < HISTOGRAM_STEPS - 1; i++) {
		total += counter_read(&histogram->steps[i]);
		evbuffer_add_printf(body, "timeserver_%s_bucket{%s%sle=\"%g\"} %" PRIu64 "\n", name,
				    label, comma, (double)histogram_bound(i) / CLOCK_SECOND, total);
	}
	total += counter_read(&histogram->steps[HISTOGRAM_STEPS - 1]);
	evbuffer_add_printf(body, "timeserver_%s_bucket{%s%sle=\"+Inf\"} %" PRIu64 "\n", name,
			    label, comma, total);
	evbuffer_add_printf(body, "timeserver_%s_sum%s%s%s %.9f\n", name, opening, label, closing,
			    (double)counter_read(&histogram->sum) / CLOCK_SECOND);
	evbuffer_add_printf(body, "timeserver_%s_count%s%s%s %" PRIu64 "\n", name, opening, label,
			    closing, total);
}

static void add_process(const struct figures *figures)
{
	begin(figures, "build_info", "gauge", "The version that runs.");
	evbuffer_add_printf(figures->body, "timeserver_build_info{version=\"%s\"} 1\n",
			    PROGRAM_VERSION);
	add_gauge(figures, "start_time_seconds", "When the daemon started, since 1970.",
		  (double)figures->info.started_clock);
	add_gauge(figures, "upgraded", "1 if it then took the place of a daemon that ran, else 0.",
		  figures->info.upgraded);
	add_gauge(figures, "workers", "Threads that answer.", figures->info.workers);
	add_gauge(figures, "connections", "Connections of Daytime and Time that are open.",
		  (double)counter_read(&figures->sum.connections));
	add_gauge(figures, "connections_max", "Connections that there is room for.",
		  figures->info.capacity);
}

static void add_clock(const struct figures *figures)
{
	const struct clock_state *state = &figures->state;

	begin(figures, "clock_info", "gauge", "Whose word the state of the clock rests on.");
	evbuffer_add_printf(figures->body, "timeserver_clock_info{source=\"%s\"} 1\n",
			    figures->info.source);
	add_gauge(figures, "clock_synchronised", "1 if the clock is to be believed, else 0.",
		  clock_state_is_synchronised(state));
	add_gauge(figures, "clock_stratum", "Steps from a reference clock; 0: not synchronised.",
		  state->stratum);
	add_gauge(figures, "clock_leap", "0; 1 or 2 before a leap second; 3: not synchronised.",
		  state->leap);
	add_gauge(figures, "clock_root_delay_seconds", "To the reference clock and back.",
		  stats_json_short(state->root_delay));
	add_gauge(figures, "clock_root_dispersion_seconds", "What may have added up on the way.",
		  stats_json_short(state->root_dispersion));
	add_gauge(figures, "clock_root_distance_seconds",
		  "How far the clock can be from the reference clock at most.",
		  stats_json_short(stats_json_root_distance(state)));
}

static void add_by_protocol(const struct figures *figures, const char *name, const char *help,
			    const struct counter *counters)
{
	begin(figures, name, "counter", help);
	for (size_t i = 0; i < PROTOCOL_COUNT; i++) {
		const struct protocol *protocol = &protocol_table[i];

		evbuffer_add_printf(figures->body,
				    "timeserver_%s{protocol=\"%s\",transport=\"%s\"} %" PRIu64 "\n",
				    name, protocol->name,
				    protocol_transport_name(protocol->transport),
				    counter_read(&counters[i]));
	}
}

static void add_requests(const struct figures *figures)
{
	add_by_protocol(figures, "requests_total", "Requests that came.", figures->sum.requests);
	add_by_protocol(figures, "responses_total", "Answers that were sent.",
			figures->sum.replies);
	begin(figures, "requests_dropped_total", "counter", "Requests without an answer, and why.");
	for (size_t i = 0; i < DROP_COUNT; i++)
		evbuffer_add_printf(figures->body,
				    "timeserver_requests_dropped_total{reason=\"%s\"} %" PRIu64
				    "\n",
				    counters_drop_name((enum drop)i),
				    counter_read(&figures->sum.drops[i]));
	add_counter(figures, "kisses_total", "Answers of NTP that tell a client to go away.",
		    counter_read(&figures->sum.kod_sent));
}

static void add_workers(const struct figures *figures)
{
	begin(figures, "worker_requests_total", "counter", "Requests by the thread they came to.");
	for (unsigned i = 0; i < stats_workers(figures->stats); i++)
		evbuffer_add_printf(figures->body,
				    "timeserver_worker_requests_total{worker=\"%u\"} %" PRIu64 "\n",
				    i, counters_requests(&figures->stats->workers[i].counters));
}

static void add_http(const struct figures *figures)
{
	static const char *const codes[WEB_OUTCOMES] = { "2xx", "4xx", "5xx" };
	const struct web_counters *web = figures->web;

	begin(figures, "http_requests_total", "counter", "Requests of HTTP, and how they ended.");
	for (size_t path = 0; path < WEB_PATHS; path++) {
		for (size_t outcome = 0; outcome < WEB_OUTCOMES; outcome++)
			evbuffer_add_printf(
				figures->body,
				"timeserver_http_requests_total{path=\"%s\",code=\"%s\"} %" PRIu64
				"\n",
				http_path_name((enum web_path)path), codes[outcome],
				counter_read(&web->requests[path][outcome]));
	}
	add_gauge(figures, "http_connections", "Connections of HTTP that are open.",
		  (double)counter_read(&web->connections));
	add_counter(figures, "http_starts_total", "How often the web process was started.",
		    counter_read(&figures->stats->web_starts));
	add_counter(figures, "http_deaths_total", "How often it ended though nothing had changed.",
		    counter_read(&figures->stats->web_crashes));
}

static void add_times(const struct figures *figures)
{
	add_histogram(figures, "response_time_seconds",
		      "From a request's arrival to its answer's departure, by the kernel's stamps "
		      "of some.",
		      "protocol=\"ntp\"", &figures->sum.response_time);
	add_histogram(figures, "transmit_stamp_error_seconds",
		      "How far the transmit stamp of an answer was from its departure, of some.",
		      "", &figures->sum.transmit_stamp_error);
	add_histogram(figures, "http_response_time_seconds",
		      "From a request's first byte to its answer.", "",
		      &figures->web->response_time);
}

void page_metrics_write(struct http_response *response)
{
	struct figures figures = {
		.body = response->body,
		.stats = response->server->stats,
		.web = response->server->counters,
	};

	stats_read_info(figures.stats, &figures.info);
	stats_sum(figures.stats, figures.web, &figures.sum);
	clock_state_read(&figures.stats->clock, clock_monotonic(), &figures.state);
	response->type = "text/plain; version=0.0.4; charset=utf-8";
	add_process(&figures);
	add_clock(&figures);
	add_requests(&figures);
	add_workers(&figures);
	add_times(&figures);
	add_http(&figures);
}
