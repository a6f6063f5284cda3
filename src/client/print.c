#include "client/print.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <time.h>

#include "client/program.h"

#define JSON_SCHEMA 1
#define TIME_SIZE   64 /* room for years of any length */

bool print_text(const struct target *target, const struct ask_answer *answer, bool quiet)
{
	if (answer->valid)
		return printf("Server Message: %s\n", answer->text) >= 0 && fflush(stdout) == 0;
	if (!quiet)
		fprintf(stderr, PROGRAM_NAME ": %s: %s\n", target->name, answer->error);
	return true;
}

/* Writes time as 2026-11-22T19:15:08.123456Z. */
static const char *format_time(char text[static TIME_SIZE], const struct timespec *time)
{
	struct tm utc;
	size_t length;

	if (!gmtime_r(&time->tv_sec, &utc))
		return NULL;
	length = strftime(text, TIME_SIZE, "%Y-%m-%dT%H:%M:%S", &utc);
	snprintf(text + length, TIME_SIZE - length, ".%06ldZ", time->tv_nsec / 1000);
	return text;
}

/* The address without its port, which has a place of its own. */
static const char *format_host(char text[static ADDRESS_TEXT_SIZE], const struct address *address)
{
	char *host, *port;

	address_format(address, text);
	return address_split(text, &host, &port) ? host : NULL;
}

/* Returns a new object, or NULL. */
static json_t *describe(const struct target *target, const struct ask_answer *answer)
{
	char address[ADDRESS_TEXT_SIZE], time[TIME_SIZE];
	json_t *object = json_pack("{s:i, s:s, s:s, s:s, s:i, s:s*, s:b}", "schema", JSON_SCHEMA,
				   "target", target->name, "scheme", target->scheme->name, "host",
				   target->host, "port", (int)target->port, "address",
				   answer->reached ? format_host(address, &answer->address) : NULL,
				   "ok", (int)answer->valid);
	json_t *rest;

	if (answer->valid)
		rest = json_pack("{s:s, s:f, s:s*}", "text", answer->text, "delay",
				 (double)answer->delay / 1e9, "time",
				 format_time(time, &answer->time));
	else
		rest = json_pack("{s:s}", "error", answer->error);
	if (!rest || json_object_update(object, rest) != 0) {
		json_decref(object);
		object = NULL;
	}
	json_decref(rest);
	return object;
}

bool print_json(const struct target *target, const struct ask_answer *answer)
{
	json_t *object = describe(target, answer);
	bool written;

	if (!object) {
		errno = ENOMEM;
		return false;
	}
	/* A delay is known to the nanosecond: more digits would be noise. */
	written = json_dumpf(object, stdout, JSON_COMPACT | JSON_REAL_PRECISION(9)) == 0 &&
		  putchar('\n') != EOF && fflush(stdout) == 0;
	json_decref(object);
	return written;
}
