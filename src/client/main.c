/* timeclient: asks servers for the time and prints what they say. */
#include <errno.h>
#include <fcntl.h>
#include <langinfo.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "client/check.h"
#include "client/options.h"
#include "client/print.h"
#include "client/result.h"
#include "client/set.h"
#include "client/survey.h"
#include "client/watch.h"

#define COLUMNS 80 /* of a terminal that does not say */

enum exit_status {
	EXIT_OK = 0,
	EXIT_FAILED = 1,
	EXIT_USAGE = 2,
};

/* A socket must not get the number of a standard descriptor that our caller has closed: what we
 * print would go to a server. Filled for reading alone, since writing to a closed one is to
 * fail. */
static bool fill_standard_descriptors(void)
{
	for (int descriptor = 0; descriptor <= STDERR_FILENO; descriptor++) {
		if (fcntl(descriptor, F_GETFD) < 0 && open("/dev/null", O_RDONLY) != descriptor)
			return false;
	}
	return true;
}

static enum exit_status fail(const char *what, int error)
{
	fprintf(stderr, PROGRAM_NAME ": %s: %s\n", what, strerror(error));
	return EXIT_FAILED;
}

static size_t find_columns(void)
{
	struct winsize size;

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0)
		return COLUMNS;
	return size.ws_col;
}

static struct print_style find_style(const struct options *options)
{
	const char *no_colour = getenv("NO_COLOR");
	bool terminal = isatty(STDOUT_FILENO);

	return (struct print_style){
		.format = {
			.utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0,
			.utc = options->utc,
			.format = options->format,
		},
		.local_zone = !options->utc && !options->format,
		.quiet = options->quiet,
		.terminal = terminal,
		.table = terminal && options->target_count > 1,
		.colour = terminal && (!no_colour || *no_colour == '\0'),
		.columns = find_columns(),
	};
}

/* Prints each line as soon as it is known, and those before it are there; what depends on all
 * answers, once there are all. */
static bool print_results(const struct options *options, struct survey *survey,
			  struct result *results)
{
	const struct print_style style = find_style(options);
	size_t count = options->target_count, known = 0;
	struct result_agreement agreement = { .total = 0 };
	bool printed = true;

	for (size_t i = 0; i < count && printed; i++) {
		if (known <= i)
			survey_wait(survey, known++, &results[i].series);
		if (!options->json && print_is_independent(&results[i], &style)) {
			printed = print_line(&results[i], &style);
			continue;
		}
		for (; known < count; known++)
			survey_wait(survey, known, &results[known].series);
		agreement = result_compare(results, count);
		if (style.table && !options->json)
			return print_table(results, count, &agreement, &style);
		printed = options->json ? print_json(&results[i], agreement.total > 1) :
					  print_line(&results[i], &style);
	}
	return printed;
}

/* With --wait one answer is enough, without it all have to answer. */
static bool has_succeeded(const struct options *options, const struct result *results)
{
	size_t answered = 0;

	for (size_t i = 0; i < options->target_count; i++)
		answered += results[i].series.best.valid;
	return options->plan.patience > 0 ? answered > 0 : answered == options->target_count;
}

static enum exit_status ask(const struct options *options, struct survey *survey,
			    struct result *results)
{
	if (!print_results(options, survey, results))
		return fail("cannot write standard output", errno);
	return has_succeeded(options, results) ? EXIT_OK : EXIT_FAILED;
}

static void wait_for_all(struct survey *survey, struct result *results)
{
	for (size_t i = 0; i < survey->count; i++)
		survey_wait(survey, i, &results[i].series);
}

static enum exit_status set(const struct options *options, struct survey *survey,
			    struct result *results)
{
	const struct print_style style = find_style(options);
	struct set_decision decision;

	wait_for_all(survey, results);
	result_compare(results, survey->count);
	for (size_t i = 0; i < survey->count; i++) {
		if (!print_line(&results[i], &style))
			return fail("cannot write standard output", errno);
	}
	decision = set_decide(results, survey->count, &options->set);
	return set_clock(&decision, &options->set, &style.format) ? EXIT_OK : EXIT_FAILED;
}

static int watch(struct options *options, struct survey *survey)
{
	const struct print_style style = find_style(options);
	bool answered;
	int error = watch_run(survey, &options->plan, options->targets, options->target_count,
			      &style, options->json, &answered);

	if (error != 0)
		return fail("cannot write standard output", error);
	return answered ? EXIT_OK : EXIT_FAILED;
}

/* Returns the exit status. */
static int act(struct options *options, struct survey *survey)
{
	static struct result results[SURVEY_TARGETS_MAX];
	int error;

	if (options->action == ACTION_WATCH)
		return watch(options, survey);
	error = survey_start(survey, &options->plan, options->targets, options->target_count);
	if (error != 0)
		return fail("cannot start to ask", error);
	for (size_t i = 0; i < options->target_count; i++)
		results[i].target = &options->targets[i];
	if (options->action == ACTION_SET)
		return set(options, survey, results);
	if (options->action == ACTION_QUERY)
		return ask(options, survey, results);
	wait_for_all(survey, results);
	return check_print(results, survey->count, options->warning, options->critical);
}

static enum exit_status print_information(const struct options *options)
{
	if (options->action == ACTION_HELP)
		options_print_help();
	else
		options_print_version();
	if (ferror(stdout) || fflush(stdout) != 0)
		return fail("cannot write standard output", errno);
	return EXIT_OK;
}

int main(int argc, char **argv)
{
	static struct options options; /* threads may outlive main */
	static struct survey survey;   /* and so has this */
	int status;

	if (!fill_standard_descriptors())
		return fail("cannot open /dev/null", errno);
	signal(SIGPIPE, SIG_IGN); /* a pipe or connection that is closed is an error to be told */
	/* Which characters can be shown is the reader's choice; words and figures are English. */
	setlocale(LC_CTYPE, "");
	if (!options_parse(&options, argc, argv))
		return options.is_check ? CHECK_UNKNOWN : EXIT_USAGE;
	if (options.action > ACTION_SET)
		return print_information(&options);
	status = act(&options, &survey);
	if (!survey_end(&survey))
		_exit(status);
	return status;
}
