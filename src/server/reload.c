#include "server/reload.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "server/control/control.h"

/* Bytes of text: half a reply, since JSON escapes can double it. */
#define TEXT_MAX (CONTROL_REPLY_MAX / 2 - 1024)

static void warn_of_unchangeable(const struct config *current, const struct config *next)
{
	if (strcmp(current->pidfile, next->pidfile) != 0)
		log_write(LOG_WARNING, "pidfile %s: takes effect at the next start", next->pidfile);
	if (strcmp(current->user.name, next->user.name) != 0)
		log_write(LOG_WARNING, "user %s: takes effect at the next start",
			  next->user.name[0] != '\0' ? next->user.name : "(none)");
}

static void add_failure(struct reload_report *report, const struct failure *failure)
{
	report->failures[report->failure_count++] = *failure;
	report->status = failure->status;
}

static void apply(struct engine *engine, struct engine_setup *next, struct reload_report *report)
{
	struct failure failure, web_failure;

	warn_of_unchangeable(&engine->service.config, &next->config);
	report->applied = engine_exchange(engine, next, &failure);
	if (!report->applied)
		add_failure(report, &failure);
	if (!engine_update_web(engine, &web_failure)) {
		failure_set(&failure, web_failure.status, "%s: HTTP is unchanged, retrying",
			    web_failure.text);
		add_failure(report, &failure);
	}
	listeners_close_unless(&next->listeners, &engine->service.listeners);
	log_set_facility(engine->service.config.facility);
}

/* Opens the new sockets before anything is stopped. */
static void reload(struct engine *engine, const struct config_source *source, FILE *errors,
		   struct reload_report *report)
{
	struct engine_setup next;
	struct failure failure;

	if (!config_load(&next.config, source, errors))
		report->status = EXIT_CONFIGURATION;
	else if (!listeners_open(&next.listeners, &next.config, workers_wanted(&next.config),
				 &engine->service.listeners, &failure))
		add_failure(report, &failure);
	else
		apply(engine, &next, report);
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

	if (report->config_errors)
		config_log_errors(report->config_errors, TEXT_MAX);
	for (unsigned i = 0; i < report->failure_count; i++)
		log_write(LOG_ERR, "%s", report->failures[i].text);
	if (report->applied)
		log_write(LOG_NOTICE, "reloaded: serving %s",
			  listeners_describe(&engine->service.listeners, serving, sizeof(serving)));
	else
		log_write(LOG_ERR, "reload failed: the current configuration stays%s",
			  engine_is_halted(engine) ? "" : " in effect");
}

void reload_run(struct engine *engine, const struct config_source *source,
		struct reload_report *report)
{
	struct failure failure;
	size_t size;
	FILE *errors;

	*report = (struct reload_report){ .status = EXIT_SERVING };
	errors = open_memstream(&report->config_errors, &size);
	if (errors) {
		reload(engine, source, errors, report);
		fclose(errors);
	} else {
		failure_set_errno(&failure, "cannot reload");
		add_failure(report, &failure);
	}
	log_outcome(engine, report);
}

char *reload_text(const struct reload_report *report)
{
	const char *errors = report->config_errors ? report->config_errors : "";
	size_t size, fitting = fitting_lines(errors, TEXT_MAX);
	char *text = NULL;
	FILE *file = open_memstream(&text, &size);

	if (!file)
		return NULL;
	fprintf(file, "%.*s", (int)fitting, errors);
	if (errors[fitting] != '\0')
		fprintf(file, PROGRAM_NAME ": %zu more errors\n", count_lines(errors + fitting));
	for (unsigned i = 0; i < report->failure_count; i++)
		fprintf(file, PROGRAM_NAME ": %s\n", report->failures[i].text);
	fclose(file);
	return text;
}

void reload_free(struct reload_report *report)
{
	free(report->config_errors);
}
