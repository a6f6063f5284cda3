#include "server/options.h"

#include <errno.h>
#include <event2/event.h>
#include <getopt.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/libc.h"
#include "base/log.h"
#include "protocol/protocol.h"
#include "server/config/config.h"
#include "server/process/privileges.h"

/* Options without a letter. */
#define UPGRADE 256
#define JSON	257

static const struct option long_options[] = {
	{ "config", required_argument, NULL, 'c' }, { "option", required_argument, NULL, 'o' },
	{ "foreground", no_argument, NULL, 'n' },   { "debug", no_argument, NULL, 'd' },
	{ "test", no_argument, NULL, 't' },	    { "dump-config", no_argument, NULL, 'T' },
	{ "signal", required_argument, NULL, 's' }, { "pidfile", required_argument, NULL, 'p' },
	{ "user", required_argument, NULL, 'u' },   { "version", no_argument, NULL, 'V' },
	{ "help", no_argument, NULL, 'h' },	    { "upgrade", no_argument, NULL, UPGRADE },
	{ "json", no_argument, NULL, JSON },	    { 0 },
};

void options_print_help(void)
{
	fputs("Usage: " PROGRAM_NAME " [OPTION]...\n"
	      "Daemon that serves the time: NTP, Time, Daytime and a web clock.\n\n"
	      "  -c, --config FILE      read FILE (default " CONFIG_DEFAULT_FILE ")\n"
	      "  -o, --option DIRECTIVE one line of configuration; may be repeated; replaces the\n"
	      "                         default file, overrides a file given by --config\n"
	      "  -n, --foreground       stay in the foreground, log to standard error\n"
	      "  -d, --debug            like --foreground, and log more\n"
	      "  -t, --test             check the configuration and exit\n"
	      "  -T, --dump-config      print the configuration in effect and exit\n"
	      "  -s, --signal COMMAND   send stop, reload or status to the running daemon\n"
	      "      --json             with --signal status: print JSON\n"
	      "      --upgrade          replace the running daemon without losing requests; with\n"
	      "                         --signal reload: only if needed: another program\n"
	      "                         file, or a right given up\n"
	      "  -p, --pidfile FILE     use FILE as the pid file, which identifies the daemon,\n"
	      "                         or none, with --foreground\n"
	      "  -u, --user NAME        run as NAME after opening the sockets\n"
	      "  -V, --version          print the version and exit\n"
	      "  -h, --help             print this help and exit\n\n"
	      "Exit status: 0 serving or done, 1 failed, 2 usage error, 77 permission denied,\n"
	      "78 configuration error. Manual: timeserver(8), timeserver.conf(5).\n",
	      stdout);
}

void options_print_version(void)
{
	struct privileges privileges = privileges_supported();
	char words[128];

	puts(PROGRAM_NAME " " PROGRAM_VERSION);
	fputs("protocols:", stdout);
	for (size_t i = 0; i < PROTOCOL_COUNT; i++)
		printf(" %s", protocol_table[i].word);
	printf("\nconfinement: %s\n", privileges_describe(&privileges, words, sizeof(words)));
	printf("libraries: " LIBC_NAME "%s, libevent %s, jansson %s\n", libc_version(),
	       event_get_version(), JANSSON_VERSION);
}

__attribute__((format(printf, 1, 2))) static bool usage_error(const char *format, ...)
{
	char text[1024];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	log_print(LOG_ERR, "%s", text);
	fputs("Try '" PROGRAM_NAME " --help'.\n", stderr);
	return false;
}

static const char *const action_names[] = {
	[ACTION_TEST] = "--test",
	[ACTION_DUMP] = "--dump-config",
	[ACTION_STOP] = "--signal stop",
	[ACTION_RELOAD] = "--signal reload",
	[ACTION_STATUS] = "--signal status",
};

static bool contradict(const char *a, const char *b)
{
	return usage_error("%s and %s exclude each other", a, b);
}

static bool set_action(struct options *options, enum action action)
{
	if (options->action != ACTION_SERVE && options->action != action)
		return contradict(action_names[options->action], action_names[action]);
	options->action = action;
	return true;
}

static bool parse_signal(struct options *options, const char *what)
{
	if (strcmp(what, "stop") == 0)
		return set_action(options, ACTION_STOP);
	if (strcmp(what, "reload") == 0)
		return set_action(options, ACTION_RELOAD);
	if (strcmp(what, "status") == 0)
		return set_action(options, ACTION_STATUS);
	return usage_error("--signal takes stop, reload or status, not '%s'", what);
}

/* For stop and status the same options say where the pid file is. */
static bool check_reload(const struct options *options)
{
	const char *ignored = options->config	      ? "--config" :
			      options->line_count > 0 ? "--option" :
			      options->user	      ? "--user" :
							NULL;

	return !ignored || usage_error("--signal reload takes no %s: the daemon reads the"
				       " configuration that it was started with",
				       ignored);
}

/* Options that an action would ignore: the user may expect that they have an effect. */
static bool check(const struct options *options)
{
	bool is_signal = options->action >= ACTION_STOP;
	const char *action = action_names[options->action];

	if (options->json && options->action != ACTION_STATUS)
		return usage_error("--json needs --signal status");
	if (is_signal && options->foreground)
		return contradict(action, options->debug ? "--debug" : "--foreground");
	if (options->upgrade)
		return options->action == ACTION_SERVE || options->action == ACTION_RELOAD ||
		       contradict(action, "--upgrade");
	return options->action != ACTION_RELOAD || check_reload(options);
}

static bool parse_option(struct options *options, int letter)
{
	switch (letter) {
	case 'c':
		options->config = optarg;
		return true;
	case 'o':
		options->lines[options->line_count++] = optarg;
		return true;
	case 'd':
		options->debug = true;
		options->foreground = true;
		return true;
	case 'n':
		options->foreground = true;
		return true;
	case 't':
		return set_action(options, ACTION_TEST);
	case 'T':
		return set_action(options, ACTION_DUMP);
	case 's':
		return parse_signal(options, optarg);
	case 'p':
		options->pidfile = optarg;
		return true;
	case 'u':
		options->user = optarg;
		return true;
	case JSON:
		options->json = true;
		return true;
	case UPGRADE:
		options->upgrade = true;
		return true;
	case 'V':
		options->print = options_print_version;
		return true;
	case 'h':
		options->print = options_print_help;
		return true;
	default: /* getopt has printed the error */
		fputs("Try '" PROGRAM_NAME " --help'.\n", stderr);
		return false;
	}
}

bool options_parse(struct options *options, int argc, char **argv)
{
	/* The start of getopt's messages; the journal adds the program's name itself. */
	static char program[] = PROGRAM_NAME, journal[] = "<3>usage error";
	int letter;

	*options = (struct options){ .lines = calloc((size_t)argc + 1, sizeof(char *)) };
	if (!options->lines) {
		log_print(LOG_ERR, "%s", strerror(errno));
		return false;
	}
	if (argc > 0)
		argv[0] = log_is_journal(STDERR_FILENO) ? journal : program;
	while ((letter = getopt_long(argc, argv, "c:o:ndtTs:p:u:Vh", long_options, NULL)) != -1) {
		if (!parse_option(options, letter))
			return false;
	}
	if (optind < argc)
		return usage_error("unexpected argument '%s'", argv[optind]);
	return check(options);
}
