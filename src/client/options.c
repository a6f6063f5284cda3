#include "client/options.h"

#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/libc.h"
#include "base/log.h"
#include "base/text.h"
#include "client/print.h"
#include "client/timespan.h"

#define SPAN_MINIMUM CLOCK_MILLISECOND
#define HOUR	     (3600 * CLOCK_SECOND)
#define YEAR	     (365 * CLOCK_DAY * CLOCK_SECOND)
#define COUNT_MAX    1000000

/* Options without a letter. */
enum {
	OPTION_UTC = 256,
	OPTION_FORMAT,
	OPTION_WATCH,
	OPTION_CHECK,
	OPTION_EXPECT,
	OPTION_WAIT,
	OPTION_SET,
	OPTION_MAX_OFFSET,
	OPTION_TRUST_ONE,
	OPTION_DRY_RUN,
};

static const struct option long_options[] = {
	{ "timeout", required_argument, NULL, 'w' },
	{ "count", required_argument, NULL, 'n' },
	{ "interval", required_argument, NULL, 'i' },
	{ "utc", no_argument, NULL, OPTION_UTC },
	{ "format", required_argument, NULL, OPTION_FORMAT },
	{ "json", no_argument, NULL, 'j' },
	{ "quiet", no_argument, NULL, 'q' },
	{ "watch", no_argument, NULL, OPTION_WATCH },
	{ "check", no_argument, NULL, OPTION_CHECK },
	{ "warning", required_argument, NULL, 'W' },
	{ "critical", required_argument, NULL, 'C' },
	{ "expect", required_argument, NULL, OPTION_EXPECT },
	{ "wait", required_argument, NULL, OPTION_WAIT },
	{ "set", required_argument, NULL, OPTION_SET },
	{ "max-offset", required_argument, NULL, OPTION_MAX_OFFSET },
	{ "trust-one", no_argument, NULL, OPTION_TRUST_ONE },
	{ "dry-run", no_argument, NULL, OPTION_DRY_RUN },
	{ "version", no_argument, NULL, 'V' },
	{ "help", no_argument, NULL, 'h' },
	{ 0 },
};

void options_print_help(void)
{
	fputs("Usage: " PROGRAM_NAME " [OPTION]... [TARGET]...\n"
	      "Queries time servers; prints their time and the offset of this machine's clock.\n\n"
	      "TARGET is [SCHEME://]HOST[:PORT]; the default is 127.0.0.1:5050 by Daytime.\n"
	      "SCHEME is daytime or time (over TCP), daytime+udp, time+udp or ntp.\n"
	      "PORT defaults to that of the scheme (13, 37, 123), or to 5050 without a scheme.\n\n"
	      "  -4                       use IPv4 only\n"
	      "  -6                       use IPv6 only\n"
	      "  -w, --timeout SECONDS    time limit of a query (5; from 0.001 to 3600)\n"
	      "  -n, --count N            take N samples; print the one with the least delay\n"
	      "  -i, --interval SECONDS   time between samples (1)\n"
	      "      --utc                print times in UTC, not in the local time zone\n"
	      "      --format STRFTIME    print times in this format of strftime(3)\n"
	      "  -j, --json               print one JSON object per target\n"
	      "  -q, --quiet              no messages about targets on standard error\n"
	      "      --watch              repeat queries, with a live view on a terminal\n"
	      "      --check              monitoring plugin: one line, exit status 0, 1, 2 or 3\n"
	      "  -W, --warning SECONDS    --check: offset above which to warn (0.1)\n"
	      "  -C, --critical SECONDS   --check: offset that is critical (1)\n"
	      "      --expect SECONDS     --check: the offset to expect (0), of a server or host\n"
	      "                           that is off on purpose\n"
	      "      --wait SECONDS       repeat until a target replies, for at most SECONDS\n"
	      "      --set step|slew      set this machine's clock\n"
	      "      --max-offset SECONDS --set: do not correct more than this\n"
	      "      --trust-one          --set: accept a single target of any scheme\n"
	      "      --dry-run            --set: only print what would be done\n"
	      "  -V, --version            print the version and exit\n"
	      "  -h, --help               print this help and exit\n\n"
	      "Exit status: 0 if every target gave a valid reply, 1 if not, 2 for usage errors.\n"
	      "Manual: timeclient(1).\n",
	      stdout);
}

void options_print_version(void)
{
	fputs(PROGRAM_NAME " " PROGRAM_VERSION "\nschemes:", stdout);
	for (size_t i = 0; i < query_scheme_count; i++)
		printf(" %s", query_schemes[i].name);
	printf("\nlibraries: " LIBC_NAME "%s, jansson %s\n", libc_version(), jansson_version_str());
}

static bool print_hint(void)
{
	fputs("Try '" PROGRAM_NAME " --help'.\n", stderr);
	return false;
}

static bool usage_error(const char *what, const char *word, const char *problem)
{
	char shown[512];

	print_message("%s '%s': %s", what, text_escape(shown, sizeof(shown), word, strlen(word)),
		      problem);
	return print_hint();
}

static bool parse_span(const char *option, const char *text, int64_t minimum, int64_t maximum,
		       const char *expected, int64_t *span)
{
	return timespan_parse(text, minimum, maximum, span) || usage_error(option, text, expected);
}

static bool parse_short_span(const char *option, const char *text, int64_t *span)
{
	return parse_span(option, text, SPAN_MINIMUM, HOUR, "expected seconds from 0.001 to 3600",
			  span);
}

static bool parse_threshold(const char *option, const char *text, int64_t *span)
{
	return parse_span(option, text, 1, YEAR,
			  "expected seconds, more than 0 and at most 31536000", span);
}

static bool parse_expected(const char *text, int64_t *offset)
{
	bool negative = *text == '-';

	if (!timespan_parse(text + negative, 0, YEAR, offset))
		return usage_error("--expect", text, "expected seconds from -31536000 to 31536000");
	if (negative)
		*offset = -*offset;
	return true;
}

static bool parse_count(struct options *options, const char *text)
{
	return text_to_number(text, 1, COUNT_MAX, &options->plan.count) ||
	       usage_error("--count", text, "expected a number from 1 to 1000000");
}

static bool parse_set(struct options *options, const char *text)
{
	options->set.step = strcmp(text, "step") == 0;
	if (!options->set.step && strcmp(text, "slew") != 0)
		return usage_error("--set", text, "expected step or slew");
	return true;
}

static bool report_conflict(const char *one, const char *other)
{
	print_message("%s and %s cannot be used together", one, other);
	return print_hint();
}

static const char *action_name(enum action action)
{
	static const char *const names[] = {
		[ACTION_WATCH] = "--watch",
		[ACTION_CHECK] = "--check",
		[ACTION_SET] = "--set",
	};

	return names[action];
}

/* Only one action is allowed, but --help and --version override all others. */
static bool set_action(struct options *options, enum action action)
{
	if (options->action > ACTION_SET)
		return true;
	if (action <= ACTION_SET && options->action != ACTION_QUERY && options->action != action)
		return report_conflict(action_name(options->action), action_name(action));
	options->action = action;
	return true;
}

/* Notes that option requires action. */
static bool require(struct options *options, enum action action, const char *option)
{
	options->requiring[action] = option;
	return true;
}

static bool check_combinations(const struct options *options)
{
	enum action action = options->action;

	if (options->check.critical < options->check.warning) {
		print_message("--critical is less than --warning");
		return print_hint();
	}
	for (enum action other = ACTION_WATCH; other <= ACTION_SET; other++) {
		if (!options->requiring[other] || other == action)
			continue;
		print_message("%s requires %s", options->requiring[other], action_name(other));
		return print_hint();
	}
	if (options->json && (action == ACTION_CHECK || action == ACTION_SET))
		return report_conflict("--json", action_name(action));
	if (options->wait > 0 && (action == ACTION_WATCH || action == ACTION_SET))
		return report_conflict("--wait", action_name(action));
	if (options->wait > 0 && options->plan.count > 0)
		return report_conflict("--wait", "--count");
	return true;
}

static bool parse_action(struct options *options, int letter)
{
	switch (letter) {
	case OPTION_WATCH:
		return set_action(options, ACTION_WATCH);
	case OPTION_CHECK:
		return set_action(options, ACTION_CHECK);
	case OPTION_SET:
		return set_action(options, ACTION_SET) && parse_set(options, optarg);
	case OPTION_MAX_OFFSET:
		return require(options, ACTION_SET, "--max-offset") &&
		       parse_threshold("--max-offset", optarg, &options->set.max_offset);
	case OPTION_TRUST_ONE:
		options->set.trust_one = true;
		return require(options, ACTION_SET, "--trust-one");
	case OPTION_DRY_RUN:
		options->set.dry_run = true;
		return require(options, ACTION_SET, "--dry-run");
	case 'V':
		return set_action(options, ACTION_VERSION);
	case 'h':
		return set_action(options, ACTION_HELP);
	default: /* getopt has printed the error */
		return print_hint();
	}
}

static bool parse_option(struct options *options, int letter)
{
	switch (letter) {
	case '4':
		options->plan.family = AF_INET;
		return true;
	case '6':
		options->plan.family = AF_INET6;
		return true;
	case 'w':
		options->plan.timeout_text = optarg;
		return parse_short_span("--timeout", optarg, &options->plan.timeout);
	case 'n':
		return parse_count(options, optarg);
	case 'i':
		return parse_short_span("--interval", optarg, &options->plan.interval);
	case 'j':
		options->json = true;
		return true;
	case 'q':
		options->quiet = true;
		return true;
	case OPTION_UTC:
		options->utc = true;
		return true;
	case OPTION_FORMAT:
		options->format = optarg;
		return true;
	case 'W':
		return require(options, ACTION_CHECK, "--warning") &&
		       parse_threshold("--warning", optarg, &options->check.warning);
	case 'C':
		return require(options, ACTION_CHECK, "--critical") &&
		       parse_threshold("--critical", optarg, &options->check.critical);
	case OPTION_EXPECT:
		return require(options, ACTION_CHECK, "--expect") &&
		       parse_expected(optarg, &options->check.expected);
	case OPTION_WAIT:
		return parse_span("--wait", optarg, SPAN_MINIMUM, CLOCK_DAY * CLOCK_SECOND,
				  "expected seconds from 0.001 to 86400", &options->wait);
	default:
		return parse_action(options, letter);
	}
}

static bool add_target(struct options *options, const char *word)
{
	char problem[TARGET_PROBLEM_SIZE];

	if (options->target_count == SURVEY_TARGETS_MAX)
		return usage_error("target", word, "too many targets: expected at most 256");
	if (!target_parse(&options->targets[options->target_count], word, problem))
		return usage_error("target", word, problem);
	options->target_count++;
	return true;
}

static bool parse_options(struct options *options, int argc, char **argv)
{
	int letter;

	while ((letter = getopt_long(argc, argv, "46w:n:i:jqW:C:Vh", long_options, NULL)) != -1) {
		if (!parse_option(options, letter))
			return false;
	}
	return options->action > ACTION_SET || check_combinations(options);
}

bool options_parse(struct options *options, int argc, char **argv)
{
	/* The start of getopt's messages; the journal adds the program's name itself. */
	static char program[] = PROGRAM_NAME, journal[] = "<3>usage error";

	*options = (struct options){
		.plan = {
			.family = AF_UNSPEC,
			.timeout = 5 * CLOCK_SECOND,
			.timeout_text = "5",
			.interval = CLOCK_SECOND,
		},
		.check = { .warning = CLOCK_SECOND / 10, .critical = CLOCK_SECOND },
		.set.max_offset = INT64_MAX,
	};
	if (argc > 0)
		argv[0] = log_is_journal(STDERR_FILENO) ? journal : program;
	/* The exit status of an error before --check is that of --check, too. */
	for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
		if (strcmp(argv[i], "--check") == 0)
			options->is_check = true;
	}
	if (!parse_options(options, argc, argv))
		return false;
	if (options->plan.count == 0 && options->action != ACTION_WATCH)
		options->plan.count = 1;
	if (options->action > ACTION_SET)
		return true;
	for (int i = optind; i < argc; i++) {
		if (!add_target(options, argv[i]))
			return false;
	}
	return options->target_count > 0 || add_target(options, TARGET_DEFAULT);
}
