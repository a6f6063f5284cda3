#include "client/check.h"

#include <inttypes.h>
#include <stdio.h>

#include "client/format.h"
#include "client/timespan.h"

#define NUMBER_SIZE 32

/* How far the measured offset of a correct server can be from the expected one: Time and Daytime
 * have a resolution of a second. */
static int64_t tolerance_of(const struct sample *sample)
{
	return sample->is_ntp ? 0 : sample->bound;
}

enum check_state check_evaluate(const struct result *result, const struct check_limits *limits)
{
	const struct sample *best = &result->series.best;
	int64_t error = timespan_magnitude(best->offset - limits->expected) - tolerance_of(best);

	if (!best->valid)
		return CHECK_CRITICAL;
	if (!best->has_offset)
		return CHECK_UNKNOWN;
	if (error > limits->critical)
		return CHECK_CRITICAL;
	if (error > limits->warning)
		return CHECK_WARNING;
	return best->bound > limits->critical ? CHECK_UNKNOWN : CHECK_OK;
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

static void write_offset(const struct sample *sample, int64_t expected)
{
	char text[FORMAT_SIZE], number[NUMBER_SIZE];

	printf("offset %s s", format_seconds(text, sample->offset, sample->bound));
	if (expected != 0)
		printf(", expected %s s", write_seconds(number, expected));
	printf(", bound %s s", format_seconds(text, sample->bound, sample->bound));
	if (sample->is_ntp)
		printf(", stratum %u", sample->packet.stratum);
}

static void write_result(const struct result *result, int64_t expected)
{
	const struct sample *best = &result->series.best;

	printf("%s ", result->target->url);
	if (!best->valid) {
		write_without_bars(best->error);
	} else if (!best->has_offset) {
		fputs(best->zone_unknown ? "no offset, " SAMPLE_ZONE_UNKNOWN ": " : "no offset: ",
		      stdout);
		write_without_bars(best->text);
	} else {
		write_offset(best, expected);
	}
}

/* The offsets without a warning, or without a critical state. */
static void write_range(const struct sample *sample, int64_t expected, int64_t limit)
{
	char low[NUMBER_SIZE], high[NUMBER_SIZE];

	limit += tolerance_of(sample);
	printf(";%s:%s", write_seconds(low, expected - limit),
	       write_seconds(high, expected + limit));
}

static void write_performance(const struct result *result, const struct check_limits *limits)
{
	const struct sample *best = &result->series.best;
	const char *url = result->target->url;
	char text[NUMBER_SIZE];

	if (!best->has_offset)
		return;
	printf(" 'offset %s'=%ss", url, write_seconds(text, best->offset));
	write_range(best, limits->expected, limits->warning);
	write_range(best, limits->expected, limits->critical);
	printf(" 'bound %s'=%ss", url, write_seconds(text, best->bound));
}

enum check_state check_print(const struct result *results, size_t count,
			     const struct check_limits *limits)
{
	static const char *const names[] = { "OK", "WARNING", "CRITICAL", "UNKNOWN" };
	enum check_state worst = CHECK_OK;

	for (size_t i = 0; i < count; i++) {
		enum check_state state = check_evaluate(&results[i], limits);

		if (is_worse(state, worst))
			worst = state;
	}
	printf("TIME %s: ", names[worst]);
	for (size_t i = 0; i < count; i++) {
		fputs(i > 0 ? "; " : "", stdout);
		write_result(&results[i], limits->expected);
	}
	fputs(" |", stdout);
	for (size_t i = 0; i < count; i++)
		write_performance(&results[i], limits);
	return putchar('\n') == EOF || fflush(stdout) != 0 ? CHECK_UNKNOWN : worst;
}
