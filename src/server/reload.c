#include "server/reload.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "server/program.h"

/* Of errors, in bytes: escaped for JSON each can become two. And the line for those left out. */
#define REPORT_MAX (CONTROL_REPLY_MAX / 2 - 1024)
#define MORE_SIZE  64

/* What is to be exchanged while no worker runs. */
struct exchange {
	struct listeners listeners;
	struct config config;
};

/* Takes the new in place of the old, which exchange holds afterwards. */
static void swap(struct service *service, struct exchange *exchange)
{
	struct exchange old = { service->listeners, service->config };

	service->listeners = exchange->listeners;
	service->config = exchange->config;
	*exchange = old;
	service_update_ports(service);
}

/* Whoever the kernel has let in before the door closes is answered. */
static void drain_closed(struct server *server, const struct listeners *old)
{
	for (size_t i = 0; i < old->count; i++) {
		if (!listeners_have(&server->service.listeners, old->items[i].fd))
			workers_drain_listener(&server->workers, &old->items[i]);
	}
}

static void warn_of_unchangeable(const struct config *present, const struct config *next)
{
	if (strcmp(present->pidfile, next->pidfile) != 0)
		log_write(LOG_WARNING, "pidfile %s: takes effect at the next start", next->pidfile);
	if (strcmp(present->user.name, next->user.name) != 0)
		log_write(LOG_WARNING, "user %s: takes effect at the next start",
			  next->user.name[0] != '\0' ? next->user.name : "(none)");
}

/* Has the monitor and as many workers as are wanted at work. */
static bool resume(struct server *server, struct failure *failure)
{
	return workers_resize(&server->workers, workers_wanted(&server->service.config), failure) &&
	       server_watch_clock(server, failure) && workers_start(&server->workers, failure);
}

static void tell_manager(const struct server *server)
{
	char serving[512];

	listeners_describe(&server->service.listeners, serving, sizeof(serving));
	notify_send(&server->notify, "READY=1\nSTATUS=%s%s",
		    server->retry_at == 0 ? "serving " : "halted: waits for threads to serve ",
		    serving);
}

/* Others may have taken the threads that were ended here. What is asked meanwhile waits in the
 * kernel. */
static void schedule_retry(struct server *server, const struct failure *failure)
{
	if (server->retry_at == 0)
		log_write(LOG_CRIT, "nothing is served: %s; trying again every second",
			  failure->text);
	server->retry_at = clock_monotonic() + CLOCK_SECOND;
}

int64_t server_tick_workers(struct server *server, int64_t now)
{
	struct failure failure;

	if (server->retry_at == 0)
		return INT64_MAX;
	if (server->retry_at > now)
		return server->retry_at;
	if (!resume(server, &failure)) {
		schedule_retry(server, &failure);
		return server->retry_at;
	}
	server->retry_at = 0;
	log_write(LOG_NOTICE, "serving again");
	tell_manager(server);
	return INT64_MAX;
}

/* Puts the new configuration in place of the old while no worker runs; what comes in that moment
 * waits in the kernel. If the workers cannot go on with the new, they go on with the old, and with
 * sockets that share its addresses by now: something may wait in them. */
static bool exchange(struct server *server, struct exchange *next, struct failure *failure)
{
	struct service *service = &server->service;
	struct failure ignored;
	bool exchanged;

	server->retry_at = 0;
	workers_stop(&server->workers);
	swap(service, next);
	clock_reload_zone();
	drain_closed(server, &next->listeners);
	exchanged = resume(server, failure);
	workers_join_retired(&server->workers);
	if (!exchanged) {
		swap(service, next);
		listeners_keep_group(&service->listeners, &next->listeners);
		if (!resume(server, &ignored))
			schedule_retry(server, &ignored);
	}
	return exchanged;
}

/* What came of a reload. */
struct outcome {
	bool exchanged;		 /* the new configuration is in effect, by HTTP perhaps not yet */
	enum exit_status status; /* as for a start */
};

static void tell_failure(FILE *report, const struct failure *failure, const char *consequence,
			 struct outcome *outcome)
{
	fprintf(report, "%s: %s%s\n", PROGRAM_NAME, failure->text, consequence);
	outcome->status = failure->status;
}

/* The errors, if any, are written to report, a line each. */
static struct outcome reload(struct server *server, FILE *report)
{
	struct service *service = &server->service;
	struct outcome outcome = { .status = EXIT_SERVING };
	struct exchange next;
	struct failure failure;

	if (!config_load(&next.config, server->source, report)) {
		outcome.status = EXIT_CONFIGURATION;
		goto out;
	}
	if (!listeners_open(&next.listeners, &next.config, workers_wanted(&next.config),
			    &service->listeners, &failure)) {
		tell_failure(report, &failure, "", &outcome);
		goto out;
	}
	warn_of_unchangeable(&service->config, &next.config);
	outcome.exchanged = exchange(server, &next, &failure);
	if (!outcome.exchanged)
		tell_failure(report, &failure, "", &outcome);
	/* The web process is executed anew, with what there is now, and the old one ends. Should
	 * that fail it is tried again and again. */
	if (!server_adapt_web(server, &failure))
		tell_failure(report, &failure, ": HTTP stays as it is, to be tried again",
			     &outcome);
	listeners_close_unless(&next.listeners, &service->listeners);
	log_set_facility(service->config.facility);
out:
	config_free(&next.config);
	return outcome;
}

/* The log names the program by itself. */
static void log_lines(const char *text)
{
	static const char name[] = PROGRAM_NAME ": ";
	size_t length;

	for (; *text != '\0'; text += length + (text[length] == '\n')) {
		if (strncmp(text, name, strlen(name)) == 0)
			text += strlen(name);
		length = strcspn(text, "\n");
		log_write(LOG_ERR, "%.*s", (int)length, text);
	}
}

/* Has text end where a reply ends, with a line that says how many there are more. */
static void shorten(char *text)
{
	size_t end = REPORT_MAX, more = 0;

	if (strlen(text) < REPORT_MAX + MORE_SIZE)
		return;
	while (end > 0 && text[end - 1] != '\n')
		end--;
	for (const char *rest = text + end; *rest != '\0'; rest++)
		more += *rest == '\n';
	snprintf(text + end, MORE_SIZE, PROGRAM_NAME ": %zu errors more\n", more);
}

enum exit_status server_reload(struct server *server, char **text)
{
	char serving[512];
	size_t size;
	FILE *report = open_memstream(text, &size);
	struct outcome outcome;

	server->reload_wanted = false;
	if (!report)
		return EXIT_NOT_STARTED;
	notify_send_reloading(&server->notify);
	outcome = reload(server, report);
	fclose(report);
	if (*text)
		shorten(*text);
	if (outcome.status != EXIT_SERVING)
		log_lines(*text ? *text : "");
	if (outcome.exchanged)
		log_write(LOG_NOTICE, "reloaded: serving %s",
			  listeners_describe(&server->service.listeners, serving, sizeof(serving)));
	else
		log_write(LOG_ERR, "reload failed: the present configuration stays%s",
			  server->retry_at == 0 ? " in effect" : "");
	tell_manager(server);
	return outcome.status;
}

void server_reload_on_signal(struct server *server)
{
	char *text = NULL;

	server->reload_wanted = false;
	if (!server->stopping)
		server_reload(server, &text);
	free(text);
}
