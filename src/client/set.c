#include "client/set.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <sys/timex.h>

#include "client/timespan.h"

#define MICROSECOND 1000
#define SLEW_PPM    500			  /* how fast the kernel slews */
#define SLEW_MAX    (2000 * CLOCK_SECOND) /* adjtime(3) takes little more */

/* Daytime and Time servers say nothing of whether they are right, so their word counts only where
 * one is trusted anyway. */
static void ignore_non_ntp(struct result *results, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (!results[i].series.best.is_ntp)
			results[i].series.best.has_offset = false;
	}
}

struct set_decision set_decide(struct result *results, size_t count,
			       const struct set_options *options)
{
	struct set_decision decision = { .agreed = false };

	if (!options->trust_one)
		ignore_non_ntp(results, count);
	decision.agreement = result_compare(results, count);
	if (decision.agreement.total == 0)
		decision.reason = "no target has told how far it is off";
	else if (decision.agreement.total == 1 && !options->trust_one)
		decision.reason = "only one NTP server has answered: expected two, or --trust-one";
	else if (decision.agreement.agreeing == 0)
		decision.reason = "the targets do not agree";
	else if (timespan_magnitude(decision.agreement.offset) > options->max_offset)
		decision.reason = "it is off by more than --max-offset";
	else if (!options->step && timespan_magnitude(decision.agreement.offset) > SLEW_MAX)
		decision.reason = "it is off by too much to slew: expected --set step";
	else
		decision.agreed = true;
	return decision;
}

/* The span in microseconds, as POSIX has it: the fraction is never negative. */
static struct timeval to_timeval(int64_t span)
{
	int64_t seconds = span / CLOCK_SECOND, rest = span % CLOCK_SECOND;

	if (rest < 0) {
		seconds--;
		rest += CLOCK_SECOND;
	}
	return (struct timeval){ .tv_sec = seconds, .tv_usec = rest / MICROSECOND };
}

/* Adds to the clock, whatever it says by now. Returns 0 or an errno value. */
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

static bool fail(const char *reason)
{
	fprintf(stderr, PROGRAM_NAME ": the clock is left alone: %s\n", reason);
	return false;
}

/* Returns whether it could be said: what nobody is told of is not done. */
static bool announce(const struct result_agreement *agreement, const struct set_options *options,
		     const struct format_style *style)
{
	char offset[FORMAT_SIZE], bound[FORMAT_SIZE], span[FORMAT_SIZE];

	printf("%zu of %zu agree: your clock is %s, %s\n", agreement->agreeing, agreement->total,
	       format_offset(offset, agreement->offset, style),
	       format_bound(bound, agreement->bound, agreement->offset, style));
	printf("%s %s it by %s%s\n", options->dry_run ? "would" : "going to",
	       options->step ? "step" : "slew", agreement->offset < 0 ? "-" : "+",
	       format_span(span, agreement->offset, style));
	return fflush(stdout) == 0;
}

bool set_clock(const struct set_decision *decision, const struct set_options *options,
	       const struct format_style *style)
{
	const struct result_agreement *agreement = &decision->agreement;
	char text[FORMAT_SIZE];
	struct timespec now;
	int error;

	if (!decision->agreed)
		return fail(decision->reason);
	if (!announce(agreement, options, style))
		return fail("standard output cannot be written");
	if (options->dry_run)
		return true;
	error = options->step ? step(agreement->offset) : slew(agreement->offset);
	if (error != 0)
		return fail(strerror(error));
	clock_gettime(CLOCK_REALTIME, &now);
	if (options->step)
		printf("stepped: it is now %s\n", format_time(text, &now, false, style));
	else
		printf("slewing: it will take %s\n",
		       format_span(text, timespan_magnitude(agreement->offset) / SLEW_PPM * 1000000,
				   style));
	fflush(stdout); /* it is done, whether or not this can be said */
	return true;
}
