#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <time.h>

#include "client/print.h"

#define JSON_SCHEMA 1
#define TIME_SIZE   64 /* for years of any length */

/* Enough digits for nanoseconds. */
#define JSON_FLAGS (JSON_COMPACT | JSON_REAL_PRECISION(12))

static double seconds(int64_t span)
{
	return (double)span / 1e9;
}

static double seconds_of_short(clock_ntp_short span)
{
	return (double)span / CLOCK_SHORT_SECOND;
}

/* Writes time as 2026-11-22T19:15:08.123456Z. */
static const char *write_iso8601(char text[static TIME_SIZE], const struct timespec *time)
{
	struct tm utc;
	size_t length;

	if (!gmtime_r(&time->tv_sec, &utc))
		return NULL;
	length = strftime(text, TIME_SIZE, "%Y-%m-%dT%H:%M:%S", &utc);
	snprintf(text + length, TIME_SIZE - length, ".%06ldZ", time->tv_nsec / 1000);
	return text;
}

/* The address without its port, which is a member of its own. */
static const char *format_host(char text[static ADDRESS_TEXT_SIZE], const struct address *address)
{
	char *host, *port;

	address_format(address, text);
	return address_split(text, &host, &port) ? host : NULL;
}

/* The functions below return new values, or NULL without memory, which json_object_set_new and the
 * "o" of json_pack pass on. */

static json_t *describe_target(const struct target *target, const struct sample *sample)
{
	char address[ADDRESS_TEXT_SIZE];

	return json_pack("{s:i, s:s, s:s, s:s, s:i, s:s*, s:b}", "schema", JSON_SCHEMA, "target",
			 target->name, "scheme", target->scheme->name, "host", target->host, "port",
			 (int)target->port, "address",
			 sample->reached ? format_host(address, &sample->address) : NULL, "ok",
			 (int)sample->valid);
}

static json_t *describe_clock(const struct sample *sample)
{
	char server_time[TIME_SIZE];

	return json_pack("{s:s*, s:f, s:f}", "server_time",
			 write_iso8601(server_time, &sample->server_time), "offset",
			 seconds(sample->offset), "error_bound", seconds(sample->bound));
}

static json_t *describe_ntp(const struct ntp_packet *packet)
{
	char id[16];

	snprintf(id, sizeof(id), "%08x", packet->reference_id);
	return json_pack("{s:{s:i, s:s, s:i, s:i, s:f, s:f, s:s}}", "ntp", "version",
			 (int)packet->version, "leap", format_leap(packet->leap), "stratum",
			 (int)packet->stratum, "precision", (int)packet->precision, "root_delay",
			 seconds_of_short(packet->root_delay), "root_dispersion",
			 seconds_of_short(packet->root_dispersion), "reference_id", id);
}

static json_t *describe_series(const struct sample_series *series)
{
	return json_pack("{s:{s:i, s:i, s:f}}", "samples", "queries", (int)series->queries,
			 "replies", (int)series->replies, "offset_spread",
			 seconds(sample_series_spread(series)));
}

static json_t *describe_rejected(const struct sample *sample)
{
	json_t *list = json_array();

	for (size_t i = 0; i < SAMPLE_REJECTIONS_MAX && sample->rejected[i].reason; i++)
		json_array_append_new(list,
				      json_pack("{s:s, s:i}", "reason", sample->rejected[i].reason,
						"count", (int)sample->rejected[i].count));
	return json_pack("{s:o}", "rejected", list);
}

static json_t *describe_sample(const struct sample *sample)
{
	char time[TIME_SIZE];

	if (!sample->valid)
		return json_pack("{s:s}", "error", sample->error);
	return json_pack("{s:s*, s:f, s:s*}", "text", sample->text[0] != '\0' ? sample->text : NULL,
			 "delay", seconds(sample->delay), "local_time",
			 write_iso8601(time, &sample->local_time));
}

/* Moves the members of part to object. */
static bool add(json_t *object, json_t *part)
{
	bool added = part && json_object_update(object, part) == 0;

	json_decref(part);
	return added;
}

static bool describe(json_t *object, const struct result *result, bool compared)
{
	const struct sample *best = &result->series.best;

	if (!add(object, describe_sample(best)))
		return false;
	if (best->has_offset && !add(object, describe_clock(best)))
		return false;
	if (best->zone_unknown && !add(object, json_pack("{s:b}", "zone_unknown", 1)))
		return false;
	if (best->is_ntp && !add(object, describe_ntp(&best->packet)))
		return false;
	if (result->series.queries > 1 && !add(object, describe_series(&result->series)))
		return false;
	if (best->rejected[0].reason && !add(object, describe_rejected(best)))
		return false;
	return !compared || !best->has_offset ||
	       add(object, json_pack("{s:b}", "falseticker", (int)result->falseticker));
}

bool print_json(const struct result *result, bool compared)
{
	json_t *object = describe_target(result->target, &result->series.best);
	bool written = false;

	errno = ENOMEM;
	if (object && describe(object, result, compared))
		written = json_dumpf(object, stdout, JSON_FLAGS) == 0 && putchar('\n') != EOF &&
			  fflush(stdout) == 0;
	json_decref(object);
	return written;
}
