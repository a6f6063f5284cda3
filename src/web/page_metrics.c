/* The figures in the text format of Prometheus. Every series is there from the start, at 0. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "stats/figures.h"
#include "web/http.h"
#include "web/page.h"

#define LABELS_SIZE 192

/* Writes the labels of a value as in "{...}"; text is the value if it is one. */
static void format_labels(const struct figure *figure, int index, const char *text,
			  char labels[static LABELS_SIZE])
{
	static const char *const codes[WEB_OUTCOMES] = { "2xx", "4xx", "5xx" };

	labels[0] = '\0';
	if (text)
		snprintf(labels, LABELS_SIZE, "%s=\"%s\"", figure->label, text);
	else if (figure->label)
		snprintf(labels, LABELS_SIZE, "%s", figure->label);
	else if (figure->per == FIGURES_PER_PROTOCOL)
		snprintf(labels, LABELS_SIZE, "protocol=\"%s\",transport=\"%s\"",
			 protocol_table[index].name,
			 protocol_transport_name(protocol_table[index].transport));
	else if (figure->per == FIGURES_PER_REASON)
		snprintf(labels, LABELS_SIZE, "reason=\"%s\"", figures_key(figure, index));
	else if (figure->per == FIGURES_PER_WORKER)
		snprintf(labels, LABELS_SIZE, "worker=\"%d\"", index);
	else if (figure->per == FIGURES_PER_PATH)
		snprintf(labels, LABELS_SIZE, "path=\"%s\",code=\"%s\"",
			 http_path_name((enum web_path)(index / WEB_OUTCOMES)),
			 codes[index % WEB_OUTCOMES]);
}

/* The name of a series, which its value is to follow. */
static void add_series(struct evbuffer *body, const char *metric, const char *part,
		       const char *labels)
{
	bool labelled = labels[0] != '\0';

	evbuffer_add_printf(body, "timeserver_%s%s%s%s%s ", metric, part, labelled ? "{" : "",
			    labels, labelled ? "}" : "");
}

static void add_histogram(struct evbuffer *body, const char *metric, const char *labels,
			  const struct histogram *histogram)
{
	char bucket[LABELS_SIZE + 32], bound[16];
	uint64_t count = 0;

	for (size_t i = 0; i < HISTOGRAM_STEPS; i++) {
		int64_t nanoseconds = histogram_bound(i);

		count += counter_read(&histogram->steps[i]);
		if (nanoseconds == INT64_MAX)
			snprintf(bound, sizeof(bound), "+Inf");
		else
			snprintf(bound, sizeof(bound), "%g", (double)nanoseconds / CLOCK_SECOND);
		snprintf(bucket, sizeof(bucket), "%s%sle=\"%s\"", labels,
			 labels[0] != '\0' ? "," : "", bound);
		add_series(body, metric, "_bucket", bucket);
		evbuffer_add_printf(body, "%" PRIu64 "\n", count);
	}
	add_series(body, metric, "_sum", labels);
	evbuffer_add_printf(body, "%.9f\n", (double)counter_read(&histogram->sum) / CLOCK_SECOND);
	add_series(body, metric, "_count", labels);
	evbuffer_add_printf(body, "%" PRIu64 "\n", count);
}

static void add_sample(struct evbuffer *body, const struct figure *figure, int index,
		       struct figures_value value)
{
	char labels[LABELS_SIZE];

	format_labels(figure, index, value.type == FIGURES_TEXT ? value.text : NULL, labels);
	if (value.type == FIGURES_HISTOGRAM) {
		add_histogram(body, figure->metric, labels, value.histogram);
		return;
	}
	add_series(body, figure->metric, "", labels);
	if (value.type == FIGURES_REAL)
		evbuffer_add_printf(body, "%.15g\n", value.real);
	else
		evbuffer_add_printf(body, "%" PRIu64 "\n",
				    value.type == FIGURES_BOOL ? value.truth :
				    value.type == FIGURES_TEXT ? 1 :
								 value.number);
}

/* By convention of Prometheus the name of a counter ends with "_total". */
static const char *name_type(const struct figure *figure)
{
	const char *suffix = strrchr(figure->metric, '_');

	if (figure->type == FIGURES_HISTOGRAM)
		return "histogram";
	return suffix && strcmp(suffix, "_total") == 0 ? "counter" : "gauge";
}

void page_metrics_write(struct http_response *response)
{
	struct figures figures;

	page_status_read_figures(response, &figures);
	response->type = "text/plain; version=0.0.4; charset=utf-8";
	for (size_t i = 0; i < figures_table_size; i++) {
		const struct figure *figure = &figures_table[i];

		if (!figure->metric)
			continue;
		evbuffer_add_printf(response->body,
				    "# HELP timeserver_%s %s\n# TYPE timeserver_%s %s\n",
				    figure->metric, figure->help, figure->metric,
				    name_type(figure));
		for (int j = 0; j < figures_count(&figures, figure); j++)
			add_sample(response->body, figure, j, figures_value(&figures, figure, j));
	}
}
