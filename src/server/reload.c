#include "server/reload.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "server/control/control.h"

#define NEEDS_START "needs --upgrade or a restart"

/* Bytes of text: half a reply, since JSON escapes can double it. */
#define TEXT_MAX (CONTROL_REPLY_MAX / 2 - 1024)

static void warn(void *lines, const char *text)
{
	fprintf(lines, PROGRAM_NAME ": %s\n", text);
}

static void warn_of_unchangeable(const struct config *old, const struct config *now, FILE *lines)
{
	if (strcmp(old->pidfile, now->pidfile) != 0)
		fprintf(lines, PROGRAM_NAME ": pidfile %s: takes effect at the next start\n",
			now->pidfile[0] != '\0' ? now->pidfile : "none");
	if (strcmp(old->user.name, now->user.name) != 0)
		fprintf(lines, PROGRAM_NAME ": user %s: takes effect at the next start\n",
			now->user.name[0] != '\0' ? now->user.name : "(none)");
}

static void add_failure(struct reload_report *report, const struct failure *failure)
{
	report->failures[report->failure_count++] = *failure;
	report->status = failure->status;
}

/* Whether this process still may start a web process, if config wants one. */
static bool can_serve(const struct engine *engine, const struct config *config,
		      struct failure *failure)
{
	for (size_t i = 0; i < config->listen_count && !engine->privileges.executes; i++) {
		if (!config->listens[i].protocol->reply)
			return failure_set(failure, EXIT_PERMISSION,
					   "listen %s: the sandbox has no right to start the web"
					   " process: " NEEDS_START,
					   config->listens[i].protocol->word);
	}
	return true;
}

/* The present process can go on with the HTTP listeners of before; nothing would serve new ones. */
static void web_failed(struct engine *engine, struct engine_setup *old,
		       const struct failure *web_failure, struct reload_report *report)
{
	struct failure failure = *web_failure;

	if (report->applied && web_child_has_new(&engine->service.listeners, &old->listeners))
		report->applied = !engine_undo_exchange(engine, old);
	else
		failure_set(&failure, web_failure->status, "%s: HTTP is unchanged, retrying",
			    web_failure->text);
	add_failure(report, &failure);
}

static void apply(struct engine *engine, struct engine_setup *next, FILE *lines,
		  struct reload_report *report)
{
	struct failure failure;

	report->applied = engine_exchange(engine, next, &failure);
	if (!report->applied)
		add_failure(report, &failure);
	if (!engine_update_web(engine, &failure))
		web_failed(engine, next, &failure, report);
	if (report->applied) {
		warn_of_unchangeable(&next->config, &engine->service.config, lines);
		listeners_warn(&engine->service.listeners, warn, lines);
	}
	listeners_close_unless(&next->listeners, &engine->service.listeners);
	log_set_facility(engine->service.config.facility);
}

/* A user of the configuration has no capability: root or systemd starts the daemon again. */
static bool open_listeners(const struct engine *engine, struct engine_setup *next,
			   struct failure *failure)
{
	const struct config *present = &engine->service.config;

	if (listeners_open(&next->listeners, &next->config, workers_wanted(&next->config),
			   &engine->service.listeners, failure))
		return true;
	if (failure->status == EXIT_PERMISSION && present->user.name[0] != '\0')
		failure_set(failure, EXIT_PERMISSION, "%s: " NEEDS_START, failure->text);
	return false;
}

/* Opens the new sockets before anything is stopped. */
static void reload(struct engine *engine, const struct config_source *source, FILE *lines,
		   struct reload_report *report)
{
	struct engine_setup next;
	struct failure failure;

	if (!config_load(&next.config, source, lines))
		report->status = next.config.error_status;
	else if (!can_serve(engine, &next.config, &failure) ||
		 !open_listeners(engine, &next, &failure))
		add_failure(report, &failure);
	else
		apply(engine, &next, lines, report);
	config_free(&next.config);
}

/* The length of the lines at the start of text that fit into size bytes. */
static size_t fitting_lines(const char *text, size_t size)
{
	size_t length = strlen(text);

	if (length <= size)
		return length;
	while (size > 0 && text[size - 1] != '\n')
		size--;
	return size;
}

static size_t count_lines(const char *text)
{
	size_t count = 0;

	for (; *text != '\0'; text++)
		count += *text == '\n';
	return count;
}

static void log_outcome(const struct engine *engine, const struct reload_report *report)
{
	char serving[512];

	if (report->lines)
		config_log_lines(report->applied ? LOG_WARNING : LOG_ERR, report->lines, TEXT_MAX);
	for (unsigned i = 0; i < report->failure_count; i++)
		log_write(LOG_ERR, "%s", report->failures[i].text);
	if (report->applied)
		log_write(LOG_NOTICE, "reloaded: serving %s",
			  listeners_describe(&engine->service.listeners, serving, sizeof(serving)));
	else
		log_write(LOG_ERR, "reload failed: the current configuration stays%s",
			  engine_is_halted(engine) ? "" : " in effect");
}

void reload_warn(const struct config_source *source)
{
	struct config config;
	char *errors = NULL;
	size_t size;
	FILE *lines = open_memstream(&errors, &size);
	bool valid;

	if (!lines)
		return;
	valid = config_load(&config, source, lines);
	fclose(lines);
	if (!valid && errors) {
		log_write(LOG_WARNING, "a reload will fail, unless this is changed:");
		config_log_lines(LOG_WARNING, errors, TEXT_MAX);
	}
	config_free(&config);
	free(errors);
}

void reload_run(struct engine *engine, const struct config_source *source,
		struct reload_report *report)
{
	struct failure failure;
	size_t size;
	FILE *lines;

	*report = (struct reload_report){ .status = EXIT_SERVING };
	lines = open_memstream(&report->lines, &size);
	if (lines) {
		reload(engine, source, lines, report);
		fclose(lines);
	} else {
		failure_set_errno(&failure, "cannot reload");
		add_failure(report, &failure);
	}
	log_outcome(engine, report);
}

char *reload_text(const struct reload_report *report)
{
	const char *lines = report->lines ? report->lines : "";
	size_t size, fitting = fitting_lines(lines, TEXT_MAX);
	char *text = NULL;
	FILE *file = open_memstream(&text, &size);

	if (!file)
		return NULL;
	fprintf(file, "%.*s", (int)fitting, lines);
	if (lines[fitting] != '\0')
		fprintf(file, PROGRAM_NAME ": %zu more errors\n", count_lines(lines + fitting));
	for (unsigned i = 0; i < report->failure_count; i++)
		fprintf(file, PROGRAM_NAME ": %s\n", report->failures[i].text);
	fclose(file);
	return text;
}

void reload_free(struct reload_report *report)
{
	free(report->lines);
}
