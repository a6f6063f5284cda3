#include "server/reload.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/log.h"
#include "server/events.h"
#include "server/program.h"

bool listeners_watch(struct server *server, const struct listeners *listeners,
		     const struct listeners *previous)
{
	for (size_t i = 0; i < listeners->count; i++) {
		int fd = listeners->items[i].fd;
		bool known = previous && listeners_have(previous, fd);

		if (!event_watch(server->epoll, known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd,
				 event_tag(EVENT_LISTENER, (uint32_t)i)))
			return false;
	}
	return true;
}

void listeners_pause(struct server *server, bool pause)
{
	for (size_t i = 0; i < server->listeners.count; i++) {
		struct epoll_event event = {
			.events = pause ? 0 : EPOLLIN,
			.data.u64 = event_tag(EVENT_LISTENER, (uint32_t)i),
		};

		epoll_ctl(server->epoll, EPOLL_CTL_MOD, server->listeners.items[i].fd, &event);
	}
}

/* Opens the sockets of next and minds them in place of the present ones. */
static bool exchange_listeners(struct server *server, const struct config *next,
			       struct failure *failure)
{
	struct listeners opened;

	if (!listeners_open(&opened, next, &server->listeners, true, failure))
		return false;
	if (!listeners_watch(server, &opened, &server->listeners)) {
		failure_set_errno(failure, "cannot wait for connections");
		listeners_close_unless(&opened, &server->listeners);
		listeners_watch(server, &server->listeners, &server->listeners);
		return false;
	}
	for (size_t i = 0; i < server->listeners.count; i++) {
		const struct listener *old = &server->listeners.items[i];

		/* Whoever the kernel has let in before the door closes is answered. */
		if (!listeners_have(&opened, old->fd))
			streams_accept_last(&server->streams, old, clock_monotonic());
	}
	listeners_close_unless(&server->listeners, &opened);
	server->listeners = opened;
	return true;
}

static void warn_of_unchangeable(const struct config *present, const struct config *next)
{
	if (strcmp(present->pidfile, next->pidfile) != 0)
		log_write(LOG_WARNING, "pidfile %s: takes effect at the next start", next->pidfile);
	if (strcmp(present->user.name, next->user.name) != 0)
		log_write(LOG_WARNING, "user %s: takes effect at the next start",
			  next->user.name[0] != '\0' ? next->user.name : "(none)");
}

static void adopt(struct server *server, struct config *next)
{
	warn_of_unchangeable(&server->config, next);
	config_free(&server->config);
	server->config = *next;
	log_set_facility(next->facility);
	clock_reload_zone();
	server->streams.now.valid = false; /* the same second may now have another hour */
}

/* The errors, if any, are written to report, a line each. */
static enum exit_status reload(struct server *server, FILE *report)
{
	struct failure failure;
	struct config next;

	if (!config_load(&next, server->source, report)) {
		config_free(&next);
		return EXIT_CONFIGURATION;
	}
	if (!exchange_listeners(server, &next, &failure)) {
		fprintf(report, "%s: %s\n", PROGRAM_NAME, failure.text);
		config_free(&next);
		return failure.status;
	}
	adopt(server, &next);
	return EXIT_SERVING;
}

static void log_lines(const char *text)
{
	size_t length;

	for (; *text != '\0'; text += length + (text[length] == '\n')) {
		length = strcspn(text, "\n");
		log_write(LOG_ERR, "%.*s", (int)length, text);
	}
}

/* Returns the status; *text is what to tell whoever asked, to be freed; NULL if memory is short. */
static enum exit_status reload_and_tell(struct server *server, char **text)
{
	char serving[512];
	size_t size;
	FILE *report = open_memstream(text, &size);
	enum exit_status status;

	server->reload_wanted = false;
	if (!report)
		return EXIT_NOT_STARTED;
	notify_send_reloading(&server->notify);
	status = reload(server, report);
	fclose(report);
	if (status == EXIT_SERVING) {
		log_write(LOG_NOTICE, "reloaded: serving %s",
			  listeners_describe(&server->listeners, serving, sizeof(serving)));
	} else {
		log_lines(*text ? *text : "");
		log_write(LOG_ERR, "reload failed: the present configuration stays in effect");
	}
	notify_send(&server->notify, "READY=1\nSTATUS=serving %s",
		    listeners_describe(&server->listeners, serving, sizeof(serving)));
	return status;
}

void server_reload_on_signal(struct server *server)
{
	char *text = NULL;

	server->reload_wanted = false;
	if (server->stop_by == INT64_MAX)
		reload_and_tell(server, &text);
	free(text);
}

static void write_status(const struct server *server, FILE *out)
{
	char word[PROTOCOL_WORD_SIZE], address[ADDRESS_TEXT_SIZE];
	const struct streams *streams = &server->streams;
	int64_t up = (clock_monotonic() - server->started) / CLOCK_SECOND;

	fprintf(out, "process: %ld\n", (long)getpid());
	fprintf(out, "state: %s\n", server->stop_by == INT64_MAX ? "serving" : "stopping");
	fprintf(out, "up: %lld s\n", (long long)up);
	fprintf(out, "user: %u\n", geteuid());
	for (size_t i = 0; i < server->listeners.count; i++)
		fprintf(out, "listen: %s %s\n",
			protocol_word(server->listeners.items[i].protocol, word),
			address_format(&server->listeners.items[i].address, address));
	fprintf(out, "answers: %llu\n", (unsigned long long)streams->answers);
	fprintf(out, "failures: %llu\n", (unsigned long long)streams->failures);
	fprintf(out, "connections: %u of %u\n", streams->open, streams->capacity);
}

static void answer_request(struct server *server, unsigned peer, const char *request)
{
	enum exit_status status = EXIT_USAGE;
	char *text = NULL;
	size_t size;
	FILE *out;

	if (strcmp(request, "reload") == 0 && server->stop_by == INT64_MAX) {
		status = reload_and_tell(server, &text);
	} else if (strcmp(request, "status") == 0 && (out = open_memstream(&text, &size)) != NULL) {
		status = EXIT_SERVING;
		write_status(server, out);
		fclose(out);
	}
	control_reply(&server->control, peer, status, text ? text : "");
	free(text);
}

void server_answer_control(struct server *server, uint32_t index)
{
	struct control *control = &server->control;
	char request[32];
	int peer;

	if (index == CONTROL_PEERS) {
		peer = control_accept(control);
		if (peer >= 0)
			event_watch(server->epoll, EPOLL_CTL_ADD, control->peers[peer],
				    event_tag(EVENT_CONTROL, (uint32_t)peer));
	} else if (control->peers[index] >= 0 &&
		   control_receive(control, index, request, sizeof(request))) {
		answer_request(server, index, request);
	}
}
