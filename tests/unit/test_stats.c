/* The stats: histograms, history, top clients, and the table of figures. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "server/status.h"
#include "stats/figures_json.h"

#define MICROSECOND INT64_C(1000)

static uint64_t total(const struct histogram *histogram)
{
	uint64_t count = 0;

	for (size_t i = 0; i < HISTOGRAM_STEPS; i++)
		count += counter_read(&histogram->steps[i]);
	return count;
}

static void a_span_is_counted_in_its_step(void **state)
{
	static const struct {
		int64_t span;
		size_t step;
	} cases[] = {
		{ -5, 0 },
		{ 0, 0 },
		{ 100, 0 },
		{ 101, 1 },
		{ 1 * MICROSECOND, 3 },
		{ 1 * MICROSECOND + 1, 4 },
		{ CLOCK_MILLISECOND, 12 },
		{ CLOCK_SECOND, 15 },
		{ CLOCK_SECOND + 1, 16 },
		{ INT64_MAX, 16 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct histogram histogram = { 0 };

		histogram_count(&histogram, cases[i].span);
		assert_int_equal(counter_read(&histogram.steps[cases[i].step]), 1);
		assert_int_equal(total(&histogram), 1);
	}
}

static void bounds_increase_up_to_infinity(void **state)
{
	(void)state;
	for (size_t i = 1; i < HISTOGRAM_STEPS; i++)
		assert_true(histogram_bound(i) > histogram_bound(i - 1));
	assert_true(histogram_bound(HISTOGRAM_STEPS - 1) == INT64_MAX);
}

static void histograms_add_up(void **state)
{
	struct histogram one = { 0 }, other = { 0 };

	(void)state;
	histogram_count(&one, 7 * MICROSECOND);
	histogram_count(&other, 9 * MICROSECOND);
	histogram_count(&other, CLOCK_SECOND);
	histogram_add(&one, &other);
	assert_int_equal(total(&one), 3);
	assert_int_equal(counter_read(&one.sum), 16 * MICROSECOND + CLOCK_SECOND);
}

static void the_last_hour_is_kept(void **state)
{
	struct history_sample samples[HISTORY_SAMPLES], sample = { 0 };
	struct history history = { 0 };

	(void)state;
	assert_int_equal(history_read(&history, samples), 0);
	for (uint32_t i = 0; i < 3 * HISTORY_SAMPLES + 7; i++) {
		unsigned count, expected = i < HISTORY_SAMPLES ? i : HISTORY_SAMPLES - 1;

		count = history_read(&history, samples);
		assert_int_equal(count, expected);
		for (unsigned j = 0; j < count; j++)
			assert_int_equal(samples[j].requests[0], i - count + j);
		sample.requests[0] = i;
		history_add(&history, &sample);
	}
	history_clear(&history);
	assert_int_equal(history_read(&history, samples), 0);
}

static struct address make_address(const char *host)
{
	struct address address;

	assert_true(address_parse(&address, host, 123));
	return address;
}

static void count(struct top_clients *top_clients, const char *host, uint64_t requests)
{
	struct address peer = make_address(host);

	top_clients_count(top_clients, &peer, requests, CLOCK_SECOND);
}

static void top_clients_are_sorted_by_requests(void **state)
{
	struct top_clients one = { 0 }, other = { 0 };
	struct top_clients_list list = { 0 };
	char text[ADDRESS_TEXT_SIZE];

	(void)state;
	one.halve_at = other.halve_at = INT64_MAX;
	count(&one, "192.0.2.1", 3);
	count(&one, "192.0.2.99", 4);
	count(&one, "2001:db8:1:2::3", 5);
	count(&other, "2001:db8:1:ffff::1", 6);
	count(&other, "::ffff:198.51.100.7", 1);
	top_clients_list_add(&list, &one, CLOCK_SECOND);
	top_clients_list_add(&list, &other, CLOCK_SECOND);
	assert_int_equal(list.total, 19);
	assert_string_equal(top_clients_format(list.items[0].network, text), "2001:db8:1::/48");
	assert_int_equal(list.items[0].count, 11);
	assert_string_equal(top_clients_format(list.items[1].network, text), "192.0.2.0/24");
	assert_int_equal(list.items[1].count, 7);
	assert_string_equal(top_clients_format(list.items[2].network, text), "198.51.100.0/24");
	assert_int_equal(list.items[3].count, 0);
}

/* One network in ten thousand that sends a tenth of the requests. */
static void a_busy_network_is_never_missed(void **state)
{
	struct top_clients top_clients = { .halve_at = INT64_MAX };
	struct top_clients_list list = { 0 };
	char host[32], text[ADDRESS_TEXT_SIZE];

	(void)state;
	for (unsigned i = 0; i < 10000; i++) {
		snprintf(host, sizeof(host), "10.%u.%u.1", i / 256, i % 256);
		count(&top_clients, i % 10 == 0 ? "192.0.2.1" : host, 1);
	}
	top_clients_list_add(&list, &top_clients, CLOCK_SECOND);
	assert_string_equal(top_clients_format(list.items[0].network, text), "192.0.2.0/24");
	assert_in_range(list.items[0].count, 1000, 1000 + 10000 / TOP_CLIENTS_TRACKED);
}

static uint64_t count_at(const struct top_clients *top_clients, int64_t now)
{
	struct top_clients_list list = { 0 };

	top_clients_list_add(&list, top_clients, now);
	assert_int_equal(list.total, list.items[0].count);
	return list.total;
}

/* Counts are halved in each interval, also without a request: those of an idle worker must not
 * outlive the others. */
static void old_requests_lose_weight(void **state)
{
	struct top_clients top_clients = { 0 };
	struct address peer = make_address("192.0.2.1");

	(void)state;
	top_clients_count(&top_clients, &peer, 800, CLOCK_SECOND);
	assert_int_equal(count_at(&top_clients, TOP_CLIENTS_INTERVAL), 800);
	assert_int_equal(count_at(&top_clients, CLOCK_SECOND + TOP_CLIENTS_INTERVAL), 400);
	assert_int_equal(count_at(&top_clients, CLOCK_SECOND + 3 * TOP_CLIENTS_INTERVAL), 100);
	assert_int_equal(count_at(&top_clients, INT64_MAX), 0);
	top_clients_count(&top_clients, &peer, 1, CLOCK_SECOND + 2 * TOP_CLIENTS_INTERVAL);
	assert_int_equal(count_at(&top_clients, CLOCK_SECOND + 2 * TOP_CLIENTS_INTERVAL), 201);
	top_clients_count(&top_clients, &peer, 1, CLOCK_SECOND + 999 * TOP_CLIENTS_INTERVAL);
	assert_int_equal(count_at(&top_clients, CLOCK_SECOND + 999 * TOP_CLIENTS_INTERVAL), 1);
}

/* New stats have every figure, and every counter is zero. */
static void new_stats_have_all_figures(void **state)
{
	static struct stats stats;
	static struct web_counters web;
	struct stats_info info = { .clock_monitored = true, .source = "system" };
	struct figures figures;
	json_t *json, *clock;

	(void)state;
	stats_publish_info(&stats, &info);
	figures_read(&figures, &stats, &web);
	json = figures_json(&figures);
	assert_int_equal(json_integer_value(json_object_get(json, "version")), FIGURES_VERSION);
	assert_int_equal(json_object_size(json_object_get(json, "protocols")), PROTOCOL_COUNT);
	assert_int_equal(json_object_size(json_object_get(json, "dropped")), DROP_COUNT);
	assert_int_equal(json_array_size(json_object_get(json, "listen")), 0);
	assert_null(json_object_get(json, "state"));
	assert_null(json_object_get(json, "top_clients"));
	clock = json_object_get(json, "clock");
	assert_true(json_is_false(json_object_get(clock, "synchronised")));
	assert_int_equal(json_integer_value(json_object_get(clock, "leap")), 3);
	json_decref(json);
}

/* A clock that is not monitored is null, and a list of top clients may be empty. */
static void unknown_figures_are_null(void **state)
{
	static struct stats stats;
	static struct web_counters web;
	struct top_clients_list list = { 0 };
	struct figures figures;
	json_t *json;

	(void)state;
	figures_read(&figures, &stats, &web);
	figures_set_clients(&figures, &list);
	json = figures_json(&figures);
	assert_true(json_is_null(json_object_get(json, "clock")));
	assert_true(json_is_array(json_object_get(json, "top_clients")));
	assert_int_equal(json_array_size(json_object_get(json, "top_clients")), 0);
	json_decref(json);
}

/* A start at 1970, after which the clock was set; without a step, what the clock said then. */
static void the_start_is_told_by_the_clock_as_it_is(void **state)
{
	static struct stats stats;
	static struct web_counters web;
	struct stats_info info = { .started_clock = 12 };
	struct timespec boot;
	struct figures figures;
	struct tm utc = { 0 };

	(void)state;
	clock_gettime(CLOCK_BOOTTIME, &boot);
	info.started = boot.tv_sec * CLOCK_SECOND + boot.tv_nsec - 100 * CLOCK_SECOND;
	stats_publish_info(&stats, &info);
	figures_read(&figures, &stats, &web);
	assert_non_null(strptime(figures.started, "%Y-%m-%dT%H:%M:%SZ", &utc));
	assert_in_range(time(NULL) - timegm(&utc), 99, 110);
	assert_in_range(figures.uptime, 100, 110);
	for (uint64_t off = 0; off <= 1; off++) {
		info.started_clock = (uint64_t)time(NULL) - 100 - off;
		stats_publish_info(&stats, &info);
		figures_read(&figures, &stats, &web);
		assert_int_equal(figures.started_clock, info.started_clock);
	}
}

static bool is_sibling(const struct figure *figure, const char *name, size_t length)
{
	const char *group = figure->group ? figure->group : "", *other;

	for (size_t i = 0; i < figures_table_size; i++) {
		const struct figure *row = &figures_table[i];

		other = row->group ? row->group : "";
		if (row->name && strcmp(other, group) == 0 && strlen(row->name) == length &&
		    strncmp(row->name, name, length) == 0)
			return true;
	}
	return false;
}

/* Each row has a help text and an offset, no metric is twice there, and texts name other rows. */
static void rows_are_consistent(void **state)
{
	(void)state;
	for (size_t i = 0; i < figures_table_size; i++) {
		const struct figure *figure = &figures_table[i];

		assert_non_null(figure->help);
		assert_true(figure->name || figure->group || figure->metric);
		assert_true(figure->offset < sizeof(struct figures));
		assert_true(!figure->metric || figure->type != FIGURES_TEXT || figure->label);
		for (size_t j = 0; figure->metric && j < i; j++)
			assert_true(!figures_table[j].metric ||
				    strcmp(figures_table[j].metric, figure->metric) != 0);
		for (const char *open = figure->text; open && (open = strchr(open, '{')); open++) {
			size_t length = strcspn(open + 1, "}");

			assert_true(length == 0 || open[1] == '*' ||
				    is_sibling(figure, open + 1, length));
		}
	}
}

static void assert_text(const char *json, const char *expected)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	assert_non_null(out);
	assert_true(status_print(json, out));
	fclose(out);
	assert_string_equal(text, expected);
	free(text);
}

/* As in "--signal status", also of a daemon of another version. */
static void a_status_as_text(void **state)
{
	(void)state;
	assert_text("{}", "");
	assert_text("{\"kod_sent\":7,\"unknown\":[1],\"clock\":null}", "kod sent: 7\n");
	assert_text("{\"clock\":{\"stratum\":3,\"leap\":1,\"reason\":null}}",
		    "clock: synchronised, stratum 3, leap 1\n");
	assert_text("{\"clock\":{\"stratum\":0,\"leap\":3,\"reason\":\"no reply\"}}",
		    "clock: not synchronised: no reply\n");
	assert_text("{\"protocols\":{\"ntp\":{\"requests\":5,\"replies\":4},"
		    "\"http\":{\"requests\":0,\"replies\":0}},\"dropped\":{\"loop\":0}}",
		    "ntp: 4 of 5\nloop: 0\n");
	assert_text("{\"listen\":[{\"protocol\":\"ntp\",\"address\":\"[::]:123\"},{}],"
		    "\"connections\":{\"open\":1,\"max\":9},"
		    "\"top_clients\":[{\"network\":\"192.0.2.0/24\",\"share\":0.506}]}",
		    "listen: ntp [::]:123\nconnections: 1 of 9\ntop client: 192.0.2.0/24 51 %\n");
	assert_false(status_print("[]", stdout));
	assert_false(status_print("nothing", stdout));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_span_is_counted_in_its_step),
		cmocka_unit_test(bounds_increase_up_to_infinity),
		cmocka_unit_test(histograms_add_up),
		cmocka_unit_test(the_last_hour_is_kept),
		cmocka_unit_test(top_clients_are_sorted_by_requests),
		cmocka_unit_test(a_busy_network_is_never_missed),
		cmocka_unit_test(old_requests_lose_weight),
		cmocka_unit_test(new_stats_have_all_figures),
		cmocka_unit_test(unknown_figures_are_null),
		cmocka_unit_test(the_start_is_told_by_the_clock_as_it_is),
		cmocka_unit_test(rows_are_consistent),
		cmocka_unit_test(a_status_as_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
