#include "server/status.h"

#include <jansson.h>
#include <string.h>

#include "stats/stats_json.h"

/* A reply has to have an end. */
#define LISTENS_MAX 1000

static const char *describe_state(const struct engine *engine, bool stopping)
{
	if (stopping)
		return "stopping";
	return engine_is_halted(engine) ? "halted" : "serving";
}

static json_t *list_listens(const struct listeners *listeners)
{
	json_t *list = json_array();
	char address[ADDRESS_TEXT_SIZE];

	for (size_t i = 0; i < listeners->count && json_array_size(list) < LISTENS_MAX; i++) {
		const struct listener *listener = &listeners->items[i];

		if (listener->shard == 0)
			json_array_append_new(list, json_pack("{s:s, s:s}", "protocol",
							      listener->protocol->word, "address",
							      address_format(&listener->address,
									     address)));
	}
	return list;
}

char *status_line(const struct engine *engine, bool stopping)
{
	json_t *status = describe_ledger(engine->service.stats, engine->web.counters);
	struct top_clients_list top_clients;
	char *line = NULL;

	workers_top_clients(&engine->workers, &top_clients);
	/* More of them than there is room for in the stats. */
	if (json_object_set_new(status, "listen", list_listens(&engine->service.listeners)) == 0 &&
	    json_object_set_new(status, "status", json_integer(EXIT_SERVING)) == 0 &&
	    json_object_set_new(status, "state", json_string(describe_state(engine, stopping))) ==
		    0 &&
	    json_object_set_new(status, "talkers", stats_json_top_clients(&top_clients)) == 0)
		line = json_dumps(status, JSON_COMPACT | JSON_REAL_PRECISION(12));
	json_decref(status);
	return line;
}

/* The functions below show what an older or newer daemon does not tell as 0, or not at all. */

static long long get(const json_t *object, const char *name)
{
	return (long long)json_integer_value(json_object_get(object, name));
}

static const char *get_text(const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));

	return text ? text : "";
}

static void print_clock(const json_t *clock, FILE *out)
{
	if (!json_is_object(clock))
		return;
	if (json_is_true(json_object_get(clock, "synchronised")))
		fprintf(out, "clock: synchronised, stratum %lld, leap %lld\n",
			get(clock, "stratum"), get(clock, "leap"));
	else
		fprintf(out, "clock: not synchronised: %s\n", get_text(clock, "reason"));
}

static void print_listens(const json_t *listens, FILE *out)
{
	const json_t *listen;
	size_t i;

	json_array_foreach(listens, i, listen)
		fprintf(out, "listen: %s %s\n", get_text(listen, "protocol"),
			get_text(listen, "address"));
}

static void print_counters(json_t *status, FILE *out)
{
	json_t *protocols = json_object_get(status, "protocols"), *value;
	json_t *drops = json_object_get(status, "dropped");
	const char *name;
	long long answers = 0;

	json_object_foreach(protocols, name, value) answers += get(value, "answers");
	fprintf(out, "answers: %lld\n", answers);
	json_object_foreach(protocols, name, value) if (get(value, "requests") > 0)
		fprintf(out, "%s: %lld of %lld\n", name, get(value, "answers"),
			get(value, "requests"));
	json_object_foreach(drops, name, value)
		fprintf(out, "%s: %lld\n", name, (long long)json_integer_value(value));
	fprintf(out, "kisses: %lld\n", get(status, "kisses"));
}

static void print_top_clients(const json_t *top_clients, FILE *out)
{
	const json_t *talker;
	size_t i;

	json_array_foreach(top_clients, i, talker)
		fprintf(out, "talker: %s %.0f %%\n", get_text(talker, "network"),
			100 * json_real_value(json_object_get(talker, "share")));
}

bool status_print(const char *line, FILE *out)
{
	json_t *status = json_loads(line, 0, NULL);
	const json_t *connections = json_object_get(status, "connections");

	if (!json_is_object(status)) {
		json_decref(status);
		return false;
	}
	fprintf(out, "process: %lld\n", get(status, "process"));
	fprintf(out, "state: %s\n", get_text(status, "state"));
	fprintf(out, "up: %lld s\n", get(status, "up"));
	fprintf(out, "user: %lld\n", get(status, "user"));
	fprintf(out, "confined: %s\n", get_text(status, "confined"));
	fprintf(out, "workers: %lld\n", get(status, "workers"));
	print_clock(json_object_get(status, "clock"), out);
	print_listens(json_object_get(status, "listen"), out);
	print_counters(status, out);
	fprintf(out, "connections: %lld of %lld\n", get(connections, "open"),
		get(connections, "most"));
	print_top_clients(json_object_get(status, "talkers"), out);
	json_decref(status);
	return true;
}
