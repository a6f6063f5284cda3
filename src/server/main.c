#include "server/main.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/memory.h"
#include "server/command.h"
#include "server/config/config.h"
#include "server/options.h"
#include "server/process/daemon.h"
#include "server/process/notify.h"
#include "server/process/run_directory.h"
#include "server/server.h"

#define ERRORS_LOGGED 65536 /* bytes */

/* Makes a path independent of the directory, which the daemon changes. */
static bool make_absolute(const char **path, char buffer[static PATH_MAX])
{
	char directory[PATH_MAX];
	bool known;

	if (!*path || (*path)[0] == '/')
		return true;
	known = getcwd(directory, sizeof(directory)) != NULL;
	if (known && snprintf(buffer, PATH_MAX, "%s/%s", directory, *path) < PATH_MAX) {
		*path = buffer;
		return true;
	}
	if (known)
		errno = ENAMETOOLONG;
	log_print(LOG_ERR, "%s: %s", *path, strerror(errno));
	return false;
}

/* A supervised process must not fork. Exception: ExecReload= with --upgrade waits for this process
 * to exit, and systemd follows MAINPID. */
static bool stays_in_foreground(const struct options *options)
{
	return options->foreground || getpid() == 1 ||
	       (notify_is_supervised() && !options->upgrade);
}

static enum log_target log_target(const struct options *options)
{
	if (!stays_in_foreground(options))
		return LOG_TO_SYSLOG;
	return log_is_journal(STDERR_FILENO) || (!options->foreground && getenv("NOTIFY_SOCKET")) ?
		       LOG_TO_JOURNAL :
		       LOG_TO_TERMINAL;
}

#define HINT_ALTERNATIVES                           \
	"configure \"clock local\" to trust it or " \
	"\"clock follow HOST\" to follow an NTP server"

/* What to tell if a protocol that reports the clock's state has to report that it is not
 * synchronised; or NULL. */
static const char *clock_hint(const struct config *config)
{
	static const char *const hints[] = {
		[CLOCK_MONITOR_KERNEL_SYNCHRONISED] = NULL,
		[CLOCK_MONITOR_KERNEL_UNSYNCHRONISED] =
			"the kernel clock is not synchronised, and NTP and HTTP replies will say so: "
			"synchronise it, or " HINT_ALTERNATIVES,
		[CLOCK_MONITOR_KERNEL_REFUSES] =
			"adjtimex is refused, so whether the kernel clock is synchronised is not "
			"known, and NTP and HTTP replies will say that it is not: allow it, or " HINT_ALTERNATIVES,
	};

	if (config->clock.source != CLOCK_SOURCE_SYSTEM)
		return NULL;
	for (size_t i = 0; i < config->listen_count; i++) {
		if (config->listens[i].protocol->reports_sync)
			return hints[clock_monitor_check_kernel()];
	}
	return NULL;
}

/* A warning if the daemon stays root although the configuration does not say so; else NULL. */
static const char *user_hint(const struct config *config)
{
	return geteuid() == 0 && config->user.name[0] == '\0' ?
		       "running as root, since this container has no other user: configure"
		       " \"user root\" to accept that" :
		       NULL;
}

/* The texts that are not NULL. */
static void warn(void (*log)(int priority, const char *format, ...), const char *const hints[2])
{
	for (int i = 0; i < 2; i++) {
		if (hints[i])
			log(LOG_WARNING, "%s", hints[i]);
	}
}

/* At a terminal, where the daemon cannot write. */
static void print_warnings(const struct config *config)
{
	char text[LISTENERS_WARNING_SIZE];

	for (size_t i = 0; i < config->listen_count; i++) {
		const struct config_listen *listen = &config->listens[i];

		if (!listen->any_family &&
		    listeners_describe_lack(listen->protocol, &listen->address, text, sizeof(text)))
			log_print(LOG_WARNING, "%s", text);
	}
}

static void log_warning(void *context, const char *text)
{
	(void)context;
	log_write(LOG_WARNING, "%s", text);
}

/* Checks what can be reported while there is a terminal. Returns EXIT_SERVING if it is right. */
static enum exit_status check(const struct options *options, const struct config *config)
{
	char problem[PATH_MAX];
	bool pidfile = config->pidfile[0] != '\0';

	if (!pidfile && (options->upgrade || !stays_in_foreground(options))) {
		log_print(LOG_ERR, "pidfile none: %s",
			  options->upgrade ? "--upgrade cannot find the daemon" :
					     "only with --foreground, since nothing could stop a"
					     " daemon");
		return EXIT_USAGE;
	}
	if (!clock_check_zone(problem, sizeof(problem))) {
		log_print(LOG_ERR, "%s", problem);
		return EXIT_NOT_STARTED;
	}
	return EXIT_SERVING;
}

/* Becomes a daemon, unless it stays in the foreground, and serves. */
static enum exit_status serve(const struct options *options, const struct config_source *source,
			      struct config *config)
{
	const char *const hints[2] = { clock_hint(config), user_hint(config) };
	bool journal = log_is_journal(STDERR_FILENO);
	struct config_source absolute = *source;
	const struct user user = config->user;
	char file[PATH_MAX];
	struct failure failure;
	static struct server server; /* not on the stack: most of its memory is never touched */
	struct notify notify;
	char serving[512];
	int report = -1;

	if (!make_absolute(&absolute.file, file))
		return EXIT_NOT_STARTED;
	absolute.running_as = user.name[0] != '\0' ? user.name : NULL;
	notify_read_environment(&notify);
	if (options->upgrade)
		notify.inherited = 0; /* the running daemon hands them over */
	if (stays_in_foreground(options)) {
		daemon_foreground_setup(notify.inherited);
	} else {
		warn(log_print, hints);
		print_warnings(config);
		report = daemon_detach();
	}
	log_open(PROGRAM_NAME, log_target(options), config->facility, options->debug);
	if (!(report >= 0 && journal))
		warn(log_write, hints);
	if (!server_start(&server, &absolute, config, &notify, options->upgrade, &failure) ||
	    !server_commit_upgrade(&server, &failure)) {
		if (report >= 0 && !journal) /* where the report goes, too */
			log_write(LOG_ERR, "%s", failure.text);
		daemon_report_failure(report, &failure);
		return failure.status;
	}
	listeners_describe(&server.engine.service.listeners, serving, sizeof(serving));
	log_write(LOG_NOTICE, "serving %s", serving);
	if (!(report >= 0 && journal))
		listeners_warn(&server.engine.service.listeners, log_warning, NULL);
	memory_release_code();
	notify_send(&server.notify, "READY=1\nMAINPID=%ld\nSTATUS=serving %s", (long)getpid(),
		    serving);
	daemon_report_serving(report, serving);
	server_run(&server);
	server_stop(&server);
	return EXIT_SERVING;
}

/* Reports an error of standard output, which would be lost at exit. */
static enum exit_status finish(enum exit_status status)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return status;
	log_print(LOG_ERR, "cannot write standard output: %s", strerror(errno));
	return EXIT_NOT_STARTED;
}

/* At boot there is no terminal: errors that stop a daemon's start are logged as well. */
static void report_config_errors(const struct options *options, const struct config *config,
				 const char *errors)
{
	config_print_errors(errors);
	if (options->action != ACTION_SERVE || stays_in_foreground(options) ||
	    log_is_journal(STDERR_FILENO))
		return;
	log_open(PROGRAM_NAME, LOG_TO_SYSLOG, config->facility, false);
	config_log_lines(LOG_ERR, errors, ERRORS_LOGGED);
	log_close();
}

static void print_tested(const struct config *config, const struct config_source *source)
{
	if (config->file)
		log_result("%s%s: valid configuration", config->file,
			   source->option_count > 0 ? " and options" : "");
	else if (source->option_count > 0)
		log_result("options, no file: valid configuration");
	else
		log_result("default configuration: " CONFIG_DEFAULT_FILE " does not exist");
}

static enum exit_status command(const struct options *options, const struct config_source *source,
				const struct config *config, bool *upgrade)
{
	struct config_source absolute = *source; /* as the daemon has it */
	char file[PATH_MAX];

	if (!make_absolute(&absolute.file, file))
		return EXIT_NOT_STARTED;
	return command_run(options, &absolute, config, upgrade);
}

static enum exit_status act(const struct options *options, const struct config_source *source)
{
	struct config config;
	char *errors = NULL;
	size_t size;
	FILE *report = open_memstream(&errors, &size);
	bool valid = report && config_load(&config, source, report);
	enum exit_status status = EXIT_SERVING;
	bool upgrade = false;

	if (!report || fclose(report) != 0) {
		log_print(LOG_ERR, "%s", strerror(errno));
		return EXIT_NOT_STARTED;
	}
	/* Also with errors in the configuration: a daemon must be stoppable. */
	if (options->action >= ACTION_STOP)
		status = command(options, source, &config, &upgrade);
	if (options->action >= ACTION_STOP && !upgrade) {
		/* done */
	} else if (!valid) {
		report_config_errors(options, &config, errors);
		status = config.error_status;
	} else if (options->action == ACTION_TEST) {
		print_tested(&config, source);
	} else if (options->action == ACTION_DUMP) {
		config_dump(&config, stdout);
	} else {
		status = check(options, &config);
		if (status == EXIT_SERVING)
			status = serve(options, source, &config);
	}
	config_free(&config);
	free(errors);
	return finish(status);
}

int server_main(int argc, char **argv)
{
	struct options options;
	struct config_source source;
	char pidfile[PATH_MAX], default_pidfile[PATH_MAX];
	struct user user;
	enum exit_status status;

	daemon_fill_standard_descriptors();
	log_open(PROGRAM_NAME, log_is_journal(STDERR_FILENO) ? LOG_TO_JOURNAL : LOG_TO_TERMINAL,
		 LOG_DAEMON, false);
	if (!options_parse(&options, argc, argv)) {
		status = options.lines ? EXIT_USAGE : EXIT_NOT_STARTED;
		goto out;
	}
	if (options.print) {
		options.print();
		status = finish(EXIT_SERVING);
		goto out;
	}
	run_directory_default_path(default_pidfile);
	source = (struct config_source){
		.file = options.config		? options.config :
			options.line_count == 0 ? CONFIG_DEFAULT_FILE :
						  NULL,
		.file_optional = !options.config,
		.options = options.lines,
		.option_count = options.line_count,
		.user = options.user,
		.pidfile = options.pidfile,
		.default_pidfile = default_pidfile,
		.default_user = geteuid() == 0 && user_find_default(&user) ? &user : NULL,
		.look_up = options.action == ACTION_TEST,
	};
	if ((source.pidfile && strcmp(source.pidfile, CONFIG_NO_PIDFILE) == 0) ||
	    make_absolute(&source.pidfile, pidfile))
		status = act(&options, &source);
	else
		status = EXIT_NOT_STARTED;
out:
	free((void *)options.lines);
	return status;
}
