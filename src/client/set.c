#include "client/set.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <sys/timex.h>

#include "client/print.h"
#include "client/timespan.h"

#define MICROSECOND 1000
#define SLEW_PPM    500			  /* the kernel's slew rate */
#define SLEW_MAX    (2000 * CLOCK_SECOND) /* a little less than adjtime(3) accepts */

/* MAXDIST of RFC 5905 appendix A.1.1: a server that is less certain is not to be followed. */
#define BOUND_MAX (3 * CLOCK_SECOND / 2)

/* Daytime and Time replies do not say whether the server is synchronised. */
static void ignore_non_ntp(struct result *results, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (!results[i].series.best.is_ntp)
			results[i].series.best.has_offset = false;
	}
}

/* A server has one vote, however often it is named. */
static void ignore_repeated(struct result *results, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct sample *best = &results[i].series.best;

		for (size_t j = 0; j < i; j++) {
			const struct sample *other = &results[j].series.best;

			if (other->has_offset && address_equal(&best->address, &other->address))
				best->has_offset = false;
		}
	}
}

/* A wide interval has something in common with any other. Returns whether there was one. */
static bool ignore_uncertain(struct result *results, size_t count)
{
	bool found = false;

	for (size_t i = 0; i < count; i++) {
		struct sample *best = &results[i].series.best;

		if (best->has_offset && best->is_ntp && best->bound > BOUND_MAX) {
			best->has_offset = false;
			found = true;
		}
	}
	return found;
}

static bool is_any_zone_unknown(const struct result *results, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (results[i].series.best.zone_unknown)
			return true;
	}
	return false;
}

struct set_decision set_decide(struct result *results, size_t count,
			       const struct set_options *options)
{
	bool any_uncertain = ignore_uncertain(results, count);
	struct set_decision decision = { .problem = NULL };
	size_t expected = options->trust_one ? 1 : 2;

	if (!options->trust_one) {
		ignore_non_ntp(results, count);
		ignore_repeated(results, count);
	}
	decision.agreement = result_compare(results, count);
	if (decision.agreement.total < expected && any_uncertain)
		decision.problem = "too few NTP servers with an error bound of at most 1.5 s";
	else if (decision.agreement.total == 0 && is_any_zone_unknown(results, count))
		decision.problem = "no target gave an offset: " SAMPLE_ZONE_UNKNOWN;
	else if (decision.agreement.total == 0)
		decision.problem = "no target gave an offset";
	else if (decision.agreement.total < expected)
		decision.problem = "only one NTP server replied: expected two, or --trust-one";
	else if (decision.agreement.agreeing == 0)
		decision.problem = "the targets do not agree";
	else if (timespan_magnitude(decision.agreement.offset) > options->max_offset)
		decision.problem = "the offset is larger than --max-offset";
	else if (!options->step && timespan_magnitude(decision.agreement.offset) > SLEW_MAX)
		decision.problem = "the offset is too large to slew: use --set step";
	return decision;
}

/* To microseconds, normalised: tv_usec is never negative. */
static struct timeval to_timeval(int64_t span)
{
	int64_t seconds = span / CLOCK_SECOND, rest = span % CLOCK_SECOND;

	if (rest < 0) {
		seconds--;
		rest += CLOCK_SECOND;
	}
	return (struct timeval){ .tv_sec = seconds, .tv_usec = rest / MICROSECOND };
}

/* Adds offset to the clock in one system call. Returns 0 or an errno value. */
static int step(int64_t offset)
{
	struct timex change = { .modes = ADJ_SETOFFSET, .time = to_timeval(offset) };

	return clock_adjtime(CLOCK_REALTIME, &change) < 0 ? errno : 0;
}

static int slew(int64_t offset)
{
	struct timeval delta = to_timeval(offset);

	return adjtime(&delta, NULL) != 0 ? errno : 0;
}

static bool fail(const char *problem)
{
	print_message("clock not set: %s", problem);
	return false;
}

static bool announce(const struct result_agreement *agreement, const struct set_options *options,
		     const struct format_style *style)
{
	static const char *const verbs[2][2] = { { "slewing", "stepping" },
						 { "would slew", "would step" } };
	char offset[FORMAT_SIZE], bound[FORMAT_SIZE], span[FORMAT_SIZE];

	printf("%zu of %zu agree: your clock is %s, %s\n", agreement->agreeing, agreement->total,
	       format_offset(offset, agreement->offset, agreement->bound, style),
	       format_bound(bound, agreement->bound, agreement->offset, style));
	printf("%s the clock by %s%s\n", verbs[options->dry_run][options->step],
	       agreement->offset < 0 ? "-" : "+",
	       format_rounded(span, agreement->offset, agreement->bound, style));
	return fflush(stdout) == 0;
}

bool set_clock(const struct set_decision *decision, const struct set_options *options,
	       const struct format_style *style)
{
	const struct result_agreement *agreement = &decision->agreement;
	char text[FORMAT_SIZE];
	struct timespec now;
	int error;

	if (decision->problem)
		return fail(decision->problem);
	if (!announce(agreement, options, style))
		return fail("cannot write standard output");
	if (options->dry_run)
		return true;
	error = options->step ? step(agreement->offset) : slew(agreement->offset);
	if (error != 0)
		return fail(strerror(error));
	clock_gettime(CLOCK_REALTIME, &now);
	if (options->step)
		printf("stepped: the time is now %s\n", format_time(text, &now, false, style));
	else
		printf("slewing: will take %s\n",
		       format_span(text, timespan_magnitude(agreement->offset) / SLEW_PPM * 1000000,
				   style));
	fflush(stdout); /* an error here does not undo what was done */
	return true;
}
