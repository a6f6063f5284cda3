/* timeclient: queries time servers and prints their times and the offset of this clock. */
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

#include "base/sandbox.h"
#include "client/check.h"
#include "client/options.h"
#include "client/print.h"
#include "client/result.h"
#include "client/set.h"
#include "client/survey.h"
#include "client/wait.h"
#include "client/watch.h"

#define COLUMNS 80 /* of a terminal of unknown size */

enum exit_status {
	EXIT_OK = 0,
	EXIT_FAILED = 1,
	EXIT_USAGE = 2,
};

/* A socket must not take the number of a standard descriptor that the caller has closed: output
 * would go to a server. /dev/null is opened for reading only, so that writing still fails. */
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
	print_message("%s: %s", what, strerror(error));
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

static void wait_for_rest(struct survey *survey, struct result *results, size_t *known)
{
	for (; *known < survey->count; ++*known)
		survey_wait(survey, *known, &results[*known].series);
}

/* Prints each line as early as possible: when its result and those before it are known, or, if it
 * depends on the comparison, when all are. */
static bool print_results(const struct options *options, struct survey *survey,
			  struct result *results, size_t known)
{
	const struct print_style style = find_style(options);
	size_t count = options->target_count;
	struct result_agreement agreement = { .total = 0 };
	bool printed = true;

	for (size_t i = 0; i < count && printed; i++) {
		if (known <= i)
			survey_wait(survey, known++, &results[i].series);
		if (!options->json && print_is_independent(&results[i], &style)) {
			printed = print_line(&results[i], &style);
			continue;
		}
		wait_for_rest(survey, results, &known);
		agreement = result_compare(results, count);
		if (style.table && !options->json)
			return print_table(results, count, &agreement, &style);
		printed = options->json ? print_json(&results[i], agreement.total > 1) :
					  print_line(&results[i], &style);
	}
	return printed;
}

static bool has_succeeded(const struct options *options, const struct result *results)
{
	size_t valid = 0;

	for (size_t i = 0; i < options->target_count; i++)
		valid += results[i].series.best.valid;
	return options->wait > 0 ? valid > 0 : valid == options->target_count;
}

static enum exit_status query(const struct options *options, struct survey *survey,
			      struct result *results, size_t known)
{
	if (!print_results(options, survey, results, known))
		return fail("cannot write standard output", errno);
	return has_succeeded(options, results) ? EXIT_OK : EXIT_FAILED;
}

static enum exit_status set(const struct options *options, struct result *results)
{
	const struct print_style style = find_style(options);
	struct set_decision decision;

	result_compare(results, options->target_count);
	for (size_t i = 0; i < options->target_count; i++) {
		if (!print_line(&results[i], &style))
			return fail("cannot write standard output", errno);
	}
	decision = set_decide(results, options->target_count, &options->set);
	return set_clock(&decision, &options->set, &style.format) ? EXIT_OK : EXIT_FAILED;
}

static enum exit_status watch(struct options *options, struct survey *survey)
{
	const struct print_style style = find_style(options);
	bool all_valid;
	int error = watch_run(survey, &options->plan, options->targets, options->target_count,
			      &style, options->json, &all_valid);

	if (error != 0)
		return fail("cannot write standard output", error);
	return all_valid ? EXIT_OK : EXIT_FAILED;
}

/* Returns the exit status. */
static int run(struct options *options, struct survey *survey)
{
	static struct result results[SURVEY_TARGETS_MAX];
	size_t count = options->target_count, known = 0;
	int error;

	if (options->action == ACTION_WATCH)
		return watch(options, survey);
	for (size_t i = 0; i < count; i++)
		results[i].target = &options->targets[i];
	if (options->wait > 0) {
		error = wait_run(survey, &options->plan, options->targets, count, options->wait,
				 results);
		known = count;
	} else {
		error = survey_start(survey, &options->plan, options->targets, count);
	}
	if (error != 0)
		return fail("cannot start", error);
	if (options->action == ACTION_QUERY)
		return query(options, survey, results, known);
	wait_for_rest(survey, results, &known);
	if (options->action == ACTION_SET)
		return set(options, results);
	return check_print(results, count, &options->check);
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
	static struct options options; /* static, since threads may outlive main */
	static struct survey survey;
	int status;

	if (!fill_standard_descriptors())
		return fail("cannot open /dev/null", errno);
	sandbox_avoid_clone3();
	signal(SIGPIPE, SIG_IGN); /* writing fails with EPIPE instead */
	setlocale(LC_CTYPE, "");  /* the character set only: words and numbers are English */
	if (!options_parse(&options, argc, argv))
		return options.is_check ? CHECK_UNKNOWN : EXIT_USAGE;
	if (options.action > ACTION_SET)
		return print_information(&options);
	status = run(&options, &survey);
	if (!survey_end(&survey))
		_exit(status);
	return status;
}
