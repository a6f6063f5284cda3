/* The web process: it has what the daemon passes to it and nothing else. */
#include "web/main.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/role.h"
#include "base/shm.h"
#include "stats/web_role.h"
#include "web/http.h"
#include "web/web_sandbox.h"

struct web {
	struct role role;
	struct http_server server;
	struct event_base *base;
	struct event *supervisor; /* its end of the socket has something to read */
	int stats_fd, counters_fd, access_fd;
	struct web_sandbox sandbox;
	int listeners[WEB_ROLE_LISTENERS_MAX];
	size_t listener_count;
};

/* In the order of stats/web_role.h. */
static bool read_words(struct web *web, char **words)
{
	struct role *role = &web->role;

	role_begin(role, "timeserver-web", words);
	web->stats_fd = role_take_fd(role);
	web->counters_fd = role_take_fd(role);
	web->access_fd = role_take_fd(role);
	web->server.access.range_count = (size_t)role_take_number(role);
	web->sandbox.needs_paths = role_take_number(role) != 0;
	web->sandbox.needs_calls = role_take_number(role) != 0;
	while (role->valid && *role->words && web->listener_count < WEB_ROLE_LISTENERS_MAX)
		web->listeners[web->listener_count++] = role_take_fd(role);
	return role->valid && !*role->words && web->listener_count > 0;
}

static void on_supervisor_message(int fd, short events, void *argument)
{
	struct web *web = argument;

	(void)fd;
	(void)events;
	if (role_reply_ping(&web->role))
		return;
	event_del(web->supervisor);
	http_drain(&web->server);
}

static bool open_all(struct web *web)
{
	struct http_server *server = &web->server;
	size_t ranges = (server->access.range_count + 1) * sizeof(*server->access.ranges);

	server->access.ranges = shm_map(web->access_fd, ranges, SHM_READ);
	server->stats = shm_map(web->stats_fd, sizeof(struct stats), SHM_READ);
	server->counters = shm_map(web->counters_fd, sizeof(struct web_counters), SHM_WRITE);
	web->base = event_base_new();
	if (!server->access.ranges || !server->stats || !server->counters || !web->base ||
	    !http_open(server, web->base))
		return false;
	leap_read(&server->leap);
	web->supervisor = event_new(web->base, web->role.supervisor_fd, EV_READ | EV_PERSIST,
				    on_supervisor_message, web);
	if (!web->supervisor || event_add(web->supervisor, NULL) < 0)
		return false;
	for (size_t i = 0; i < web->listener_count; i++) {
		if (!http_listen(server, web->listeners[i]))
			return false;
	}
	return true;
}

/* Nobody reads libevent's messages, and clients can bring them about. */
static void ignore_log(int severity, const char *message)
{
	(void)severity;
	(void)message;
}

int web_main(char **words)
{
	static struct web web;
	struct failure failure;

	event_set_log_callback(ignore_log);
	if (!read_words(&web, words)) {
		fputs("timeserver: --role is internal\n", stderr);
		return 2;
	}
	if (!open_all(&web)) {
		role_send(&web.role, strerror(errno));
		return EXIT_FAILURE;
	}
	if (!web_sandbox_enter(&web.sandbox, web.listeners, web.listener_count, &failure)) {
		role_send(&web.role, failure.text);
		return EXIT_FAILURE;
	}
	role_send(&web.role, ROLE_READY);
	event_base_dispatch(web.base);
	http_close(&web.server);
	event_free(web.supervisor);
	event_base_free(web.base);
	return EXIT_SUCCESS;
}
