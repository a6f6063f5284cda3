#include "server/status.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/role.h"
#include "base/text.h"
#include "stats/figures_json.h"

/* Limit the size of a reply. */
#define LISTENS_MAX  1000
#define WARNINGS_MAX 100

#define DEL 0x7f /* not printable, but Jansson writes it as it is */

static const char *describe_state(const struct engine *engine, bool stopping)
{
	if (stopping)
		return "stopping";
	return engine_is_halted(engine) ? "halted" : "serving";
}

static json_t *json_listens(const struct listeners *listeners)
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

static void add_warning(void *list, const char *text)
{
	if (json_array_size(list) < WARNINGS_MAX)
		json_array_append_new(list, json_string(text));
}

static json_t *json_warnings(const struct listeners *listeners)
{
	json_t *list = json_array();

	listeners_warn(listeners, add_warning, list);
	return list;
}

bool status_program(char program[static STATUS_MEMBER_SIZE])
{
	struct stat file;

	if (stat(ROLE_PROGRAM, &file) < 0)
		return false;
	snprintf(program, STATUS_MEMBER_SIZE, "%ju:%ju", (uintmax_t)file.st_dev,
		 (uintmax_t)file.st_ino);
	return true;
}

void status_source(const struct config_source *source, char text[static STATUS_MEMBER_SIZE])
{
	snprintf(text, STATUS_MEMBER_SIZE, "%016" PRIx64, config_source_hash(source));
}

bool status_has(const char *line, const char *name, const char *value)
{
	json_t *status = json_loads(line, 0, NULL);
	const char *found = json_string_value(json_object_get(status, name));
	bool same = found && strcmp(found, value) == 0;

	json_decref(status);
	return same;
}

char *status_line(const struct engine *engine, const struct config_source *source, bool stopping)
{
	const struct listeners *listeners = &engine->service.listeners;
	struct top_clients_list top_clients;
	char program[STATUS_MEMBER_SIZE] = "", started_with[STATUS_MEMBER_SIZE];
	struct figures figures;
	char *line = NULL;
	json_t *status;

	figures_read(&figures, engine->service.stats, engine->web.counters);
	snprintf(figures.state, sizeof(figures.state), "%s", describe_state(engine, stopping));
	workers_top_clients(&engine->workers, &top_clients);
	figures_set_clients(&figures, &top_clients);
	status_program(program);
	status_source(source, started_with);
	status = figures_json(&figures);
	/* There can be more listeners than the stats have room for. */
	if (json_object_set_new(status, "listen", json_listens(listeners)) == 0 &&
	    json_object_set_new(status, "warnings", json_warnings(listeners)) == 0 &&
	    json_object_set_new(status, "executable", json_string(program)) == 0 &&
	    json_object_set_new(status, "source", json_string(started_with)) == 0 &&
	    json_object_set_new(status, "status", json_integer(EXIT_SERVING)) == 0)
		line = json_dumps(status, JSON_COMPACT | JSON_REAL_PRECISION(12));
	json_decref(status);
	return line;
}

/* The only real number here is a share. */
static void print_value(const json_t *value, FILE *out)
{
	if (json_is_string(value))
		text_print(out, json_string_value(value), json_string_length(value));
	else if (json_is_real(value))
		fprintf(out, "%.0f %%", 100 * json_real_value(value));
	else
		fprintf(out, "%lld", (long long)json_integer_value(value));
}

/* json_object_getn, which jansson has since 2.14. */
static const json_t *find_member(const json_t *item, const char *name, size_t length)
{
	char key[32];

	snprintf(key, sizeof(key), "%.*s", (int)length, name);
	return json_object_get(item, key);
}

/* The line of a figure that is item, or a member of it. An older or newer daemon may not have the
 * figure: no line then. */
static void print_line(const struct figure *figure, const char *key, const json_t *item, FILE *out)
{
	const json_t *value = figure->name ? json_object_get(item, figure->name) : item;
	const char *rest = figure->text, *open, *close;

	if (!value || json_is_null(value) || (figure->skip_zero && json_integer_value(value) == 0))
		return;
	while ((open = strchr(rest, '{')) != NULL && (close = strchr(open, '}')) != NULL) {
		size_t length = (size_t)(close - open) - 1;

		fprintf(out, "%.*s", (int)(open - rest), rest);
		if (length == 0)
			print_value(value, out);
		else if (open[1] == '*')
			text_print(out, key, strlen(key));
		else
			print_value(find_member(item, open + 1, length), out);
		rest = close + 1;
	}
	fprintf(out, "%s\n", rest);
}

static void print_figure(const struct figure *figure, json_t *status, FILE *out)
{
	json_t *group = figure->group ? json_object_get(status, figure->group) : status, *item;
	const char *key;
	size_t i;

	if (json_is_array(group)) {
		json_array_foreach(group, i, item) print_line(figure, "", item, out);
	} else if (figures_key(figure, 0)) {
		json_object_foreach(group, key, item) print_line(figure, key, item, out);
	} else {
		print_line(figure, "", group, out);
	}
}

bool status_print(const char *line, FILE *out)
{
	json_t *status = json_loads(line, 0, NULL), *warning;
	bool readable = json_is_object(status);
	size_t index;

	for (size_t i = 0; i < figures_table_size && readable; i++) {
		if (figures_table[i].text)
			print_figure(&figures_table[i], status, out);
	}
	json_array_foreach(json_object_get(status, "warnings"), index, warning)
	{
		fputs("warning: ", out);
		text_print(out, json_string_value(warning), json_string_length(warning));
		fputc('\n', out);
	}
	json_decref(status);
	return readable;
}

bool status_print_json(const char *line, FILE *out)
{
	json_t *status = json_loads(line, 0, NULL);
	bool readable = json_is_object(status);
	char *text = readable ? json_dumps(status, JSON_COMPACT | JSON_ENSURE_ASCII |
							   JSON_REAL_PRECISION(12)) :
				NULL;

	for (const char *next = text; next && *next != '\0'; next++) {
		if (*next == DEL)
			fputs("\\u007f", out);
		else
			fputc(*next, out);
	}
	if (readable)
		fputc('\n', out);
	free(text);
	json_decref(status);
	return readable;
}
