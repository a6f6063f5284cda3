/* The status page: what the stats says, for people. */
#include <inttypes.h>
#include <string.h>

#include "stats/stats_json.h"
#include "web/chart.h"
#include "web/http.h"
#include "web/page.h"
#include "web/template.h"

static void begin_table(struct evbuffer *body, const char *name, const char *value)
{
	evbuffer_add_printf(body,
			    "<table><thead><tr><th scope=\"col\">%s</th>"
			    "<th scope=\"col\" class=\"number\">%s</th></tr></thead><tbody>\n",
			    name, value);
}

static void end_table(struct evbuffer *body)
{
	evbuffer_add_printf(body, "</tbody></table>\n");
}

static void begin_row(struct evbuffer *body, const char *name)
{
	evbuffer_add_printf(body, "<tr><th scope=\"row\">%s</th><td class=\"number\">", name);
}

static void end_row(struct evbuffer *body)
{
	evbuffer_add_printf(body, "</td></tr>\n");
}

static void add_text(struct evbuffer *body, const char *name, const char *text)
{
	begin_row(body, name);
	http_add_escaped(body, text);
	end_row(body);
}

static void add_number(struct evbuffer *body, const char *name, uint64_t number)
{
	begin_row(body, name);
	evbuffer_add_printf(body, "%" PRIu64, number);
	end_row(body);
}

static void add_span(struct evbuffer *body, const char *name, double seconds)
{
	begin_row(body, name);
	evbuffer_add_printf(body, "%.6f s", seconds);
	end_row(body);
}

static void write_clock(struct http_response *response)
{
	struct history_sample samples[HISTORY_SAMPLES];
	const struct stats *stats = response->server->stats;
	struct stats_info info;
	struct clock_state state;

	stats_read_info(stats, &info);
	clock_state_read(&stats->clock, clock_monotonic(), &state);
	chart_write_clock(response->body, samples, history_read(&stats->history, samples));
	begin_table(response->body, "what", "now");
	add_text(response->body, "source", info.source);
	add_number(response->body, "stratum", state.stratum);
	add_number(response->body, "leap", state.leap);
	add_span(response->body, "root delay", stats_json_short(state.root_delay));
	add_span(response->body, "root dispersion", stats_json_short(state.root_dispersion));
	add_span(response->body, "root distance",
		 stats_json_short(stats_json_root_distance(&state)));
	end_table(response->body);
}

/* One for each protocol that is served, and one of what was dropped. */
static void write_charts(struct http_response *response)
{
	struct history_sample samples[HISTORY_SAMPLES];
	uint32_t values[HISTORY_SAMPLES];
	struct stats_info info;
	unsigned count = history_read(&response->server->stats->history, samples);
	bool served[PROTOCOL_COUNT] = { false };

	stats_read_info(response->server->stats, &info);
	for (uint32_t i = 0; i < info.listen_count && i < STATS_LISTENS; i++)
		served[info.listens[i].protocol] = true;
	for (size_t i = 0; i < PROTOCOL_COUNT; i++) {
		for (unsigned j = 0; j < count; j++)
			values[j] = samples[j].requests[i];
		if (served[i])
			chart_write_line(response->body, protocol_table[i].word, values, count);
	}
	for (unsigned j = 0; j < count; j++)
		values[j] = samples[j].drops;
	chart_write_line(response->body, "dropped", values, count);
}

static void write_protocols(struct http_response *response)
{
	const struct http_server *server = response->server;
	struct stats_info info;
	struct counters sum = { 0 };

	stats_read_info(server->stats, &info);
	stats_sum(server->stats, server->counters, &sum);
	begin_table(response->body, "where", "what");
	for (uint32_t i = 0; i < info.listen_count && i < STATS_LISTENS; i++)
		add_text(response->body, info.listens[i].address,
			 protocol_table[info.listens[i].protocol].word);
	end_table(response->body);
	begin_table(response->body, "protocol", "answers");
	for (size_t i = 0; i < PROTOCOL_COUNT; i++)
		add_number(response->body, protocol_table[i].word, counter_read(&sum.replies[i]));
	add_number(response->body, "kisses", counter_read(&sum.kod_sent));
	end_table(response->body);
}

static void write_drops(struct http_response *response)
{
	struct counters sum = { 0 };

	stats_sum(response->server->stats, response->server->counters, &sum);
	begin_table(response->body, "reason", "requests");
	for (size_t i = 0; i < DROP_COUNT; i++)
		add_number(response->body, counters_drop_name((enum drop)i),
			   counter_read(&sum.drops[i]));
	end_table(response->body);
}

static void add_step(struct evbuffer *body, const struct histogram *histogram, size_t step,
		     uint64_t total)
{
	uint64_t count = counter_read(&histogram->steps[step]);
	double microseconds = (double)histogram_bound(step) / 1000;
	char name[32] = "more";

	if (count == 0)
		return;
	if (step < HISTOGRAM_STEPS - 1)
		snprintf(name, sizeof(name), "up to %g \302\265s", microseconds);
	begin_row(body, name);
	/* Who cannot see the bar has the number. */
	evbuffer_add_printf(body,
			    "<meter aria-hidden=\"true\" min=\"0\" max=\"%" PRIu64
			    "\" value=\"%" PRIu64 "\"></meter> <span>%" PRIu64 "</span>",
			    total, count, count);
	end_row(body);
}

static void write_stamps(struct http_response *response)
{
	struct counters sum = { 0 };
	uint64_t total;

	stats_sum(response->server->stats, response->server->counters, &sum);
	total = histogram_total(&sum.transmit_stamp_error);
	begin_table(response->body, "off by", "replies that were watched");
	for (size_t i = 0; i < HISTOGRAM_STEPS; i++)
		add_step(response->body, &sum.transmit_stamp_error, i, total);
	end_table(response->body);
}

static void write_balance(struct http_response *response)
{
	const struct stats *stats = response->server->stats;
	char name[16];

	begin_table(response->body, "worker", "requests");
	for (unsigned i = 0; i < stats_workers(stats); i++) {
		snprintf(name, sizeof(name), "%u", i);
		add_number(response->body, name, counters_requests(&stats->workers[i].counters));
	}
	end_table(response->body);
}

/* Who asks is nobody else's business, unless the operator says that it is. */
static void write_clients(struct http_response *response)
{
	char network[ADDRESS_TEXT_SIZE], share[16];
	struct top_clients_list top_clients;
	struct stats_info info;

	stats_read_info(response->server->stats, &info);
	if (!info.show_clients)
		return;
	stats_read_top_clients(response->server->stats, &top_clients);
	evbuffer_add_printf(response->body, "<section>\n<h2>Who asks the most</h2>\n");
	begin_table(response->body, "network", "share of all requests, lately");
	for (size_t i = 0; i < TOP_CLIENTS_SHOWN && top_clients.items[i].count > 0; i++) {
		snprintf(share, sizeof(share), "%.0f %%",
			 100.0 * (double)top_clients.items[i].count / (double)top_clients.total);
		add_text(response->body, top_clients_format(top_clients.items[i].network, network),
			 share);
	}
	end_table(response->body);
	evbuffer_add_printf(response->body, "</section>\n");
}

static void write_process(struct http_response *response)
{
	const struct http_server *server = response->server;
	struct stats_info info;
	struct counters sum = { 0 };
	char up[32];

	stats_read_info(server->stats, &info);
	stats_sum(server->stats, server->counters, &sum);
	snprintf(up, sizeof(up), "%" PRId64 " s",
		 (clock_monotonic() - info.started) / CLOCK_SECOND);
	begin_table(response->body, "what", "now");
	add_text(response->body, "version", PROGRAM_VERSION);
	add_number(response->body, "process", info.process);
	add_text(response->body, "up", up);
	add_text(response->body, "confined", info.confined);
	add_number(response->body, "connections", counter_read(&sum.connections));
	add_number(response->body, "room for", info.capacity);
	add_number(response->body, "connections of HTTP",
		   counter_read(&server->counters->connections));
	add_number(response->body, "starts of the web process",
		   counter_read(&server->stats->web_starts));
	end_table(response->body);
}

/* Who reads slowly, or by ear, can have the page hold still. */
static bool is_held(const struct http_response *response)
{
	return strcmp(http_query(response), "hold") == 0;
}

static void write_refresh(struct http_response *response)
{
	if (!is_held(response))
		evbuffer_add_printf(response->body, "<meta http-equiv=\"refresh\" content=\"10\">");
}

static void write_other(struct http_response *response)
{
	evbuffer_add_printf(response->body, is_held(response) ?
						    "<a href=\"/status\">keep up to date</a>" :
						    "<a href=\"/status?hold\">hold still</a>");
}

static void write_document(struct http_response *response, const char *state, const char *verdict)
{
	const struct template_value values[] = {
		{ .name = "host", .text = http_host(response) },
		{ .name = "refresh", .write = write_refresh },
		{ .name = "state", .text = state },
		{ .name = "verdict", .text = verdict },
		{ .name = "other", .write = write_other },
		{ .name = "clock", .write = write_clock },
		{ .name = "charts", .write = write_charts },
		{ .name = "protocols", .write = write_protocols },
		{ .name = "drops", .write = write_drops },
		{ .name = "stamps", .write = write_stamps },
		{ .name = "balance", .write = write_balance },
		{ .name = "clients", .write = write_clients },
		{ .name = "process", .write = write_process },
	};

	template_write(response, &template_status, values, sizeof(values) / sizeof(values[0]));
}

void page_status_write(struct http_response *response)
{
	const struct stats *stats = response->server->stats;
	struct stats_reason reason;
	struct clock_state clock;

	clock_state_read(&stats->clock, clock_monotonic(), &clock);
	stats_read_reason(stats, &reason);
	if (clock_state_is_synchronised(&clock))
		write_document(response, "synchronised", "synchronised");
	else
		write_document(response, "unsynchronised", reason.text);
}
