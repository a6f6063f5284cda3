#include "client/check.h"

#include <inttypes.h>
#include <stdio.h>

#include "client/timespan.h"

#define NUMBER_SIZE 32

enum check_state check_evaluate(const struct result *result, int64_t warning, int64_t critical)
{
	const struct sample *best = &result->series.best;

	if (!best->valid)
		return CHECK_CRITICAL;
	if (!best->has_offset)
		return CHECK_UNKNOWN;
	if (timespan_magnitude(best->offset) > critical)
		return CHECK_CRITICAL;
	if (timespan_magnitude(best->offset) > warning)
		return CHECK_WARNING;
	return best->bound > critical ? CHECK_UNKNOWN : CHECK_OK;
}

static bool is_worse(enum check_state one, enum check_state other)
{
	static const int ranks[] = {
		[CHECK_OK] = 0,
		[CHECK_UNKNOWN] = 1,
		[CHECK_WARNING] = 2,
		[CHECK_CRITICAL] = 3,
	};

	return ranks[one] > ranks[other];
}

/* Decimal seconds without trailing zeros. */
static const char *write_seconds(char text[static NUMBER_SIZE], int64_t span)
{
	int64_t value = timespan_magnitude(span);
	size_t length =
		(size_t)snprintf(text, NUMBER_SIZE, "%s%" PRId64 ".%09" PRId64, span < 0 ? "-" : "",
				 value / CLOCK_SECOND, value % CLOCK_SECOND);

	while (text[length - 1] == '0')
		text[--length] = '\0';
	if (text[length - 1] == '.')
		text[length - 1] = '\0';
	return text;
}

/* A bar starts the performance data, so text from a server must not contain one. */
static void write_without_bars(const char *text)
{
	for (; *text != '\0'; text++)
		putchar(*text == '|' ? '/' : *text);
}

static void write_result(const struct result *result)
{
	const struct sample *best = &result->series.best;
	char offset[NUMBER_SIZE], bound[NUMBER_SIZE];

	printf("%s ", result->target->url);
	if (!best->valid) {
		write_without_bars(best->error);
	} else if (!best->has_offset) {
		fputs(best->zone_unknown ? "no offset, " SAMPLE_ZONE_UNKNOWN ": " : "no offset: ",
		      stdout);
		write_without_bars(best->text);
	} else {
		printf("offset %s s, bound %s s", write_seconds(offset, best->offset),
		       write_seconds(bound, best->bound));
		if (best->is_ntp)
			printf(", stratum %u", best->packet.stratum);
	}
}

static void write_performance(const struct result *result, int64_t warning, int64_t critical)
{
	const struct sample *best = &result->series.best;
	const char *url = result->target->url;
	char offset[NUMBER_SIZE], bound[NUMBER_SIZE], low[NUMBER_SIZE], high[NUMBER_SIZE];

	if (best->has_offset)
		printf(" 'offset %s'=%ss;-%s:%s;-%s:%s 'bound %s'=%ss", url,
		       write_seconds(offset, best->offset), write_seconds(low, warning), low,
		       write_seconds(high, critical), high, url, write_seconds(bound, best->bound));
}

enum check_state check_print(const struct result *results, size_t count, int64_t warning,
			     int64_t critical)
{
	static const char *const names[] = { "OK", "WARNING", "CRITICAL", "UNKNOWN" };
	enum check_state worst = CHECK_OK;

	for (size_t i = 0; i < count; i++) {
		enum check_state state = check_evaluate(&results[i], warning, critical);

		if (is_worse(state, worst))
			worst = state;
	}
	printf("TIME %s: ", names[worst]);
	for (size_t i = 0; i < count; i++) {
		fputs(i > 0 ? "; " : "", stdout);
		write_result(&results[i]);
	}
	fputs(" |", stdout);
	for (size_t i = 0; i < count; i++)
		write_performance(&results[i], warning, critical);
	return putchar('\n') == EOF || fflush(stdout) != 0 ? CHECK_UNKNOWN : worst;
}
