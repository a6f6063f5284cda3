#include "stats/stats_json.h"

#include <time.h>

/* Every function here that returns an object returns a new one, or NULL if memory is short, and
 * json_pack passes that on: an "o" that is NULL makes the whole NULL. */

double stats_json_short(clock_ntp_short span)
{
	return (double)span / CLOCK_SHORT_SECOND;
}

clock_ntp_short stats_json_root_distance(const struct clock_state *state)
{
	return clock_short_add(state->root_delay / 2 + (state->root_delay & 1),
			       state->root_dispersion);
}

const char *stats_json_time(int64_t seconds, char text[static 32])
{
	time_t time = (time_t)seconds;
	struct tm utc;

	if (!gmtime_r(&time, &utc) || strftime(text, 32, "%Y-%m-%dT%H:%M:%SZ", &utc) == 0)
		text[0] = '\0';
	return text;
}

static json_t *describe_clock(const struct stats *stats, const struct stats_info *info)
{
	struct stats_reason reason;
	struct clock_state state;

	if (!info->clock_watched)
		return json_null();
	clock_state_read(&stats->clock, clock_monotonic(), &state);
	stats_read_reason(stats, &reason);
	return json_pack("{s:s, s:b, s:i, s:i, s:s?, s:f, s:f, s:f}", "source", info->source,
			 "synchronised", clock_state_is_synchronised(&state), "stratum",
			 (int)state.stratum, "leap", (int)state.leap, "reason",
			 clock_state_is_synchronised(&state) ? NULL : reason.text, "root_delay",
			 stats_json_short(state.root_delay), "root_dispersion",
			 stats_json_short(state.root_dispersion), "root_distance",
			 stats_json_short(stats_json_root_distance(&state)));
}

static json_t *describe_listens(const struct stats_info *info)
{
	json_t *listens = json_array();

	for (uint32_t i = 0; i < info->listen_count && i < STATS_LISTENS; i++) {
		const struct protocol *protocol = &protocol_table[info->listens[i].protocol];

		json_array_append_new(listens, json_pack("{s:s, s:s}", "protocol", protocol->word,
							 "address", info->listens[i].address));
	}
	return listens;
}

static json_t *describe_protocols(const struct counters *sum)
{
	json_t *protocols = json_object();

	for (size_t i = 0; i < PROTOCOL_COUNT; i++)
		json_object_set_new(protocols, protocol_table[i].word,
				    json_pack("{s:I, s:I}", "requests",
					      (json_int_t)counter_read(&sum->requests[i]),
					      "answers",
					      (json_int_t)counter_read(&sum->replies[i])));
	return protocols;
}

static json_t *describe_drops(const struct counters *sum)
{
	json_t *drops = json_object();

	for (size_t i = 0; i < DROP_COUNT; i++)
		json_object_set_new(drops, counters_drop_name((enum drop)i),
				    json_integer((json_int_t)counter_read(&sum->drops[i])));
	return drops;
}

static json_t *describe_balance(const struct stats *stats)
{
	json_t *balance = json_array();

	for (unsigned i = 0; i < stats_workers(stats); i++) {
		uint64_t requests = counters_requests(&stats->workers[i].counters);

		json_array_append_new(balance, json_integer((json_int_t)requests));
	}
	return balance;
}

/* How many spans there were up to each bound, as the metrics have it. */
static json_t *describe_histogram(const struct histogram *histogram)
{
	json_t *steps = json_array();
	uint64_t total = 0;

	for (size_t i = 0; i < HISTOGRAM_STEPS; i++) {
		json_t *bound = histogram_bound(i) == INT64_MAX ?
					json_null() :
					json_real((double)histogram_bound(i) / CLOCK_SECOND);

		total += counter_read(&histogram->steps[i]);
		json_array_append_new(steps, json_pack("{s:o, s:I}", "up_to", bound, "count",
						       (json_int_t)total));
	}
	return json_pack("{s:I, s:f, s:o}", "count", (json_int_t)total, "sum",
			 (double)counter_read(&histogram->sum) / CLOCK_SECOND, "steps", steps);
}

static json_t *describe_web(const struct stats *stats, const struct web_counters *web)
{
	return json_pack("{s:I, s:I, s:I, s:I, s:o}", "requests",
			 (json_int_t)web_counters_requests(web), "connections",
			 (json_int_t)counter_read(&web->connections), "starts",
			 (json_int_t)counter_read(&stats->web_starts), "deaths",
			 (json_int_t)counter_read(&stats->web_crashes), "response_time",
			 describe_histogram(&web->response_time));
}

json_t *stats_json_top_clients(const struct top_clients_list *list)
{
	json_t *top_clients = json_array();
	char network[ADDRESS_TEXT_SIZE];

	for (size_t i = 0; i < TOP_CLIENTS_SHOWN && list->items[i].count > 0; i++)
		json_array_append_new(top_clients,
				      json_pack("{s:s, s:f}", "network",
						top_clients_format(list->items[i].network, network),
						"share",
						(double)list->items[i].count /
							(double)list->total));
	return top_clients;
}

json_t *stats_json_history(const struct history *history)
{
	struct history_sample samples[HISTORY_SAMPLES];
	unsigned count = history_read(history, samples);
	json_t *all = json_pack("{s:i}", "interval", (int)(HISTORY_INTERVAL / CLOCK_SECOND));
	json_t *drops = json_array(), *clock = json_array(), *requests;

	for (size_t i = 0; i < PROTOCOL_COUNT; i++) {
		requests = json_array();
		for (unsigned j = 0; j < count; j++)
			json_array_append_new(requests, json_integer(samples[j].requests[i]));
		json_object_set_new(all, protocol_table[i].word, requests);
	}
	for (unsigned j = 0; j < count; j++) {
		json_array_append_new(drops, json_integer(samples[j].drops));
		json_array_append_new(clock, json_boolean(samples[j].clock));
	}
	json_object_set_new(all, "dropped", drops);
	json_object_set_new(all, "synchronised", clock);
	return all;
}

json_t *describe_ledger(const struct stats *stats, const struct web_counters *web)
{
	struct stats_info info;
	struct counters sum = { 0 };
	int64_t up;
	char started[32];

	stats_read_info(stats, &info);
	stats_sum(stats, web, &sum);
	up = (clock_monotonic() - info.started) / CLOCK_SECOND;
	return json_pack("{s:i, s:s, s:I, s:I, s:s, s:s, s:I, s:b, s:I, s:o, s:o, s:o, s:o, s:I,"
			 " s:{s:I, s:I}, s:o, s:o, s:o, s:o}",
			 "version", STATS_JSON_VERSION, "program", PROGRAM_VERSION, "process",
			 (json_int_t)info.process, "user", (json_int_t)info.user, "confined",
			 info.confined, "started", stats_json_time(info.started_clock, started),
			 "up", (json_int_t)up, "upgraded", (int)info.upgraded, "workers",
			 (json_int_t)info.workers, "clock", describe_clock(stats, &info), "listen",
			 describe_listens(&info), "protocols", describe_protocols(&sum), "dropped",
			 describe_drops(&sum), "kisses", (json_int_t)counter_read(&sum.kod_sent),
			 "connections", "open", (json_int_t)counter_read(&sum.connections), "most",
			 (json_int_t)info.capacity, "balance", describe_balance(stats),
			 "response_time", describe_histogram(&sum.response_time), "stamp_error",
			 describe_histogram(&sum.transmit_stamp_error), "http",
			 describe_web(stats, web));
}
