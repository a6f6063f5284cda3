/* The status page: a table of the figures. With JavaScript it also has charts of the last hour: see
 * page/status.js. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "stats/figures.h"
#include "web/http.h"
#include "web/page.h"
#include "web/template.h"

void page_status_read_figures(const struct http_response *response, struct figures *figures)
{
	const struct stats *stats = response->server->stats;
	struct top_clients_list top_clients;

	figures_read(figures, stats, response->server->counters);
	if (!figures->info.show_clients)
		return;
	stats_read_top_clients(stats, &top_clients);
	figures_set_clients(figures, &top_clients);
}

/* Only the buckets that are not empty. */
static void write_histogram(struct evbuffer *body, const struct histogram *histogram)
{
	for (size_t i = 0; i < HISTOGRAM_STEPS; i++) {
		uint64_t count = counter_read(&histogram->steps[i]);

		if (count > 0 && i < HISTOGRAM_STEPS - 1)
			evbuffer_add_printf(body, "%" PRIu64 " up to %g s<br>", count,
					    (double)histogram_bound(i) / CLOCK_SECOND);
		else if (count > 0)
			evbuffer_add_printf(body, "%" PRIu64 " longer", count);
	}
}

static void write_value(struct evbuffer *body, struct figures_value value)
{
	if (value.type == FIGURES_TEXT)
		http_add_escaped(body, value.text);
	else if (value.type == FIGURES_HISTOGRAM)
		write_histogram(body, value.histogram);
	else if (value.type == FIGURES_REAL)
		evbuffer_add_printf(body, "%.9g", value.real);
	else if (value.type == FIGURES_BOOL)
		evbuffer_add_printf(body, value.truth ? "yes" : "no");
	else
		evbuffer_add_printf(body, "%" PRIu64, value.number);
}

/* As in the JSON: "clock.stratum", "protocols.ntp.requests", "per_worker.0". */
static void write_name(struct evbuffer *body, const struct figure *figure, int index)
{
	char number[16] = "";
	const char *key = figures_is_list(figure) ? number : figures_key(figure, index);
	const char *parts[] = { figure->group, key, figure->name }, *separator = "";

	snprintf(number, sizeof(number), "%d", index);
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		if (!parts[i])
			continue;
		evbuffer_add_printf(body, "%s%s", separator, parts[i]);
		separator = ".<wbr>";
	}
}

static void write_figures(struct http_response *response)
{
	struct evbuffer *body = response->body;
	struct figures figures;

	page_status_read_figures(response, &figures);
	for (size_t i = 0; i < figures_table_size; i++) {
		const struct figure *figure = &figures_table[i];
		int count = figure->group || figure->name ? figures_count(&figures, figure) : 0;

		for (int j = 0; j < count; j++) {
			evbuffer_add_printf(body, "<tr><th scope=\"row\">");
			write_name(body, figure, j);
			evbuffer_add_printf(body, "</th><td>");
			write_value(body, figures_value(&figures, figure, j));
			evbuffer_add_printf(body, "</td>");
			if (j == 0)
				evbuffer_add_printf(body, "<td rowspan=\"%d\">%s</td>", count,
						    figure->help);
			evbuffer_add_printf(body, "</tr>\n");
		}
	}
}

/* A reader can stop the page from being loaded again every ten seconds. */
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
		{ .name = "figures", .write = write_figures },
	};

	template_write(response, &template_status, values, sizeof(values) / sizeof(values[0]));
}

void page_status_write(struct http_response *response)
{
	struct figures_clock clock;

	figures_read_clock(&clock, response->server->stats, clock_monotonic());
	if (clock.synchronised)
		write_document(response, "synchronised", "synchronised");
	else
		write_document(response, "unsynchronised", clock.reason.text);
}
