/* timeclient: asks servers for the time and prints what they say. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "client/options.h"
#include "client/print.h"
#include "client/program.h"
#include "client/round.h"

enum exit_status {
	EXIT_ANSWERED = 0,
	EXIT_UNANSWERED = 1,
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
	return EXIT_UNANSWERED;
}

/* Prints each answer as soon as it and those before it are there. */
static enum exit_status print_answers(const struct options *options, struct round *round)
{
	enum exit_status status = EXIT_ANSWERED;

	for (size_t i = 0; i < options->target_count; i++) {
		const struct target *target = &options->targets[i];
		struct ask_answer answer;
		bool printed;

		round_wait(round, i, &answer);
		if (!answer.valid)
			status = EXIT_UNANSWERED;
		printed = options->json ? print_json(target, &answer) :
					  print_text(target, &answer, options->quiet);
		if (!printed)
			return fail("cannot write standard output", errno);
	}
	return status;
}

static enum exit_status ask_all(const struct options *options)
{
	static struct round round; /* threads may outlive this function */
	enum exit_status status;
	int error = round_start(&round, options->targets, options->target_count, options->family,
				options->timeout, options->timeout_text);

	if (error != 0)
		return fail("cannot start to ask", error);
	status = print_answers(options, &round);
	if (!round_end(&round))
		_exit((int)status);
	return status;
}

static enum exit_status tell_about(const struct options *options)
{
	if (options->action == ACTION_HELP)
		options_print_help();
	else
		options_print_version();
	if (ferror(stdout) || fflush(stdout) != 0)
		return fail("cannot write standard output", errno);
	return EXIT_ANSWERED;
}

int main(int argc, char **argv)
{
	static struct options options; /* threads may outlive main */

	if (!fill_standard_descriptors())
		return fail("cannot open /dev/null", errno);
	signal(SIGPIPE, SIG_IGN); /* a pipe or connection that is closed is an error to be told */
	if (!options_parse(&options, argc, argv))
		return EXIT_USAGE;
	return (int)(options.action == ACTION_ASK ? ask_all(&options) : tell_about(&options));
}
