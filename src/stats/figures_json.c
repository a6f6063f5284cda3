#include "stats/figures_json.h"

/* Jansson passes a failure on: a NULL that is added to an object or array is an error. */

static json_t *json_histogram(const struct histogram *histogram)
{
	json_t *buckets = json_array();
	uint64_t count = 0;

	for (size_t i = 0; i < HISTOGRAM_STEPS; i++) {
		json_t *bound = histogram_bound(i) == INT64_MAX ?
					json_null() :
					json_real((double)histogram_bound(i) / CLOCK_SECOND);

		count += counter_read(&histogram->steps[i]);
		json_array_append_new(buckets, json_pack("{s:o, s:I}", "le", bound, "count",
							 (json_int_t)count));
	}
	return json_pack("{s:I, s:f, s:o}", "count", (json_int_t)count, "sum",
			 (double)counter_read(&histogram->sum) / CLOCK_SECOND, "buckets", buckets);
}

static json_t *json_value(struct figures_value value)
{
	switch (value.type) {
	case FIGURES_BOOL:
		return json_boolean(value.truth);
	case FIGURES_REAL:
		return json_real(value.real);
	case FIGURES_TEXT:
		return value.text[0] != '\0' ? json_string(value.text) : json_null();
	case FIGURES_HISTOGRAM:
		return json_histogram(value.histogram);
	default:
		return json_integer((json_int_t)value.number);
	}
}

/* The member of parent, made if it is not there. */
static json_t *member(json_t *parent, const char *name, json_t *(*make)(void))
{
	if (!json_object_get(parent, name))
		json_object_set_new(parent, name, make());
	return json_object_get(parent, name);
}

/* The same for an element of a list, which are added one after the other. */
static json_t *element(json_t *list, size_t index)
{
	if (index == json_array_size(list))
		json_array_append_new(list, json_object());
	return json_array_get(list, index);
}

static bool add_value(json_t *group, const struct figure *figure, int index, json_t *value)
{
	const char *key = figures_key(figure, index);

	if (figures_is_list(figure) && !figure->name)
		return json_array_append_new(group, value) == 0;
	if (figures_is_list(figure))
		group = element(group, (size_t)index);
	else if (key && figure->name)
		group = member(group, key, json_object);
	return json_object_set_new(group, figure->name ? figure->name : key, value) == 0;
}

static bool add_figure(json_t *object, const struct figures *figures, const struct figure *figure)
{
	int count = figures_count(figures, figure);
	json_t *group = object;
	bool added = true;

	if (figure->group && count >= 0)
		group = member(object, figure->group,
			       figures_is_list(figure) ? json_array : json_object);
	for (int i = 0; i < count; i++)
		added = add_value(group, figure, i,
				  json_value(figures_value(figures, figure, i))) &&
			added;
	return added && group;
}

json_t *figures_json(const struct figures *figures)
{
	json_t *object = json_object();
	bool added = true;

	for (size_t i = 0; i < figures_table_size && added; i++) {
		const struct figure *figure = &figures_table[i];

		if (figure->group || figure->name)
			added = add_figure(object, figures, figure);
	}
	if (!figures->info.clock_monitored)
		json_object_set_new(object, "clock", json_null());
	if (added)
		return object;
	json_decref(object);
	return NULL;
}

json_t *figures_json_history(const struct history *history)
{
	struct history_sample samples[HISTORY_SAMPLES];
	unsigned count = history_read(history, samples);
	json_t *all = json_pack("{s:i}", "interval", (int)(HISTORY_INTERVAL / CLOCK_SECOND));
	json_t *drops = json_array(), *synchronised = json_array(), *requests;

	for (size_t i = 0; i < PROTOCOL_COUNT; i++) {
		requests = json_array();
		for (unsigned j = 0; j < count; j++)
			json_array_append_new(requests, json_integer(samples[j].requests[i]));
		json_object_set_new(all, protocol_table[i].word, requests);
	}
	for (unsigned j = 0; j < count; j++) {
		json_array_append_new(drops, json_integer(samples[j].drops));
		json_array_append_new(synchronised, json_boolean(samples[j].synchronised));
	}
	json_object_set_new(all, "dropped", drops);
	json_object_set_new(all, "synchronised", synchronised);
	return all;
}
