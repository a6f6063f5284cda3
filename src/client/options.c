#include "client/options.h"

#include <getopt.h>
#include <gnu/libc-version.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/text.h"
#include "client/moment.h"
#include "client/program.h"

#define TIMEOUT_MINIMUM CLOCK_MILLISECOND
#define TIMEOUT_MAXIMUM (3600 * CLOCK_SECOND)

static const struct option long_options[] = {
	{ "timeout", required_argument, NULL, 'w' }, { "json", no_argument, NULL, 'j' },
	{ "quiet", no_argument, NULL, 'q' },	     { "version", no_argument, NULL, 'V' },
	{ "help", no_argument, NULL, 'h' },	     { 0 },
};

void options_print_help(void)
{
	fputs("Usage: " PROGRAM_NAME " [OPTION]... [TARGET]...\n"
	      "Asks time servers for the time and prints what they say.\n\n"
	      "TARGET is [SCHEME://]HOST[:PORT]; none: 127.0.0.1:5050 by Daytime.\n"
	      "SCHEME is daytime. PORT is by default 13 with a scheme, 5050 without.\n\n"
	      "  -4                     ask over IPv4 only\n"
	      "  -6                     ask over IPv6 only\n"
	      "  -w, --timeout SECONDS  wait for SECONDS at most, in all (5; from 0.001 to 3600)\n"
	      "  -j, --json             print a JSON object a target\n"
	      "  -q, --quiet            say nothing on standard error about targets that fail\n"
	      "  -V, --version          print the version and exit\n"
	      "  -h, --help             print this and exit\n\n"
	      "Exit status: 0 a valid answer from every target, 1 not, 2 usage.\n"
	      "Manual: timeclient(1).\n",
	      stdout);
}

void options_print_version(void)
{
	fputs(PROGRAM_NAME " " PROGRAM_VERSION "\nschemes:", stdout);
	for (size_t i = 0; i < ask_scheme_count; i++)
		printf(" %s", ask_schemes[i].name);
	printf("\nlibraries: glibc %s, jansson %s\n", gnu_get_libc_version(),
	       jansson_version_str());
}

static bool hint(void)
{
	fputs("Try '" PROGRAM_NAME " --help'.\n", stderr);
	return false;
}

static bool usage_error(const char *what, const char *word, const char *problem)
{
	char shown[512];

	fprintf(stderr, PROGRAM_NAME ": %s '%s': %s\n", what,
		text_escape(shown, sizeof(shown), word, strlen(word)), problem);
	return hint();
}

static bool parse_timeout(struct options *options, const char *text)
{
	if (!moment_parse_seconds(text, TIMEOUT_MINIMUM, TIMEOUT_MAXIMUM, &options->timeout))
		return usage_error("--timeout", text, "expected seconds from 0.001 to 3600");
	options->timeout_text = text;
	return true;
}

static bool parse_option(struct options *options, int letter)
{
	switch (letter) {
	case '4':
		options->family = AF_INET;
		return true;
	case '6':
		options->family = AF_INET6;
		return true;
	case 'w':
		return parse_timeout(options, optarg);
	case 'j':
		options->json = true;
		return true;
	case 'q':
		options->quiet = true;
		return true;
	case 'V':
		options->action = ACTION_VERSION;
		return true;
	case 'h':
		options->action = ACTION_HELP;
		return true;
	default: /* getopt has said what is wrong */
		return hint();
	}
}

static bool add_target(struct options *options, const char *word)
{
	char problem[TARGET_PROBLEM_SIZE];

	if (options->target_count == ROUND_LIMIT)
		return usage_error("target", word, "too many targets: expected at most 256");
	if (!target_parse(&options->targets[options->target_count], word, problem))
		return usage_error("target", word, problem);
	options->target_count++;
	return true;
}

bool options_parse(struct options *options, int argc, char **argv)
{
	static char program[] = PROGRAM_NAME;
	int letter;

	*options = (struct options){ .family = AF_UNSPEC };
	if (argc > 0)
		argv[0] = program; /* the name that getopt's messages begin with */
	if (!parse_timeout(options, "5"))
		return false;
	while ((letter = getopt_long(argc, argv, "46w:jqVh", long_options, NULL)) != -1) {
		if (!parse_option(options, letter))
			return false;
	}
	if (options->action != ACTION_ASK)
		return true;
	for (int i = optind; i < argc; i++) {
		if (!add_target(options, argv[i]))
			return false;
	}
	return options->target_count > 0 || add_target(options, TARGET_DEFAULT);
}
