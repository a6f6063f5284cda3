/* The HTTP server: routes, requests and responses, on top of libevent's evhttp. */
#ifndef WEB_HTTP_H
#define WEB_HTTP_H

#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/access.h"
#include "stats/stats.h"
#include "stats/web_counters.h"
#include "stats/web_role.h"
#include "web/connections.h"
#include "web/leap.h"

struct http_server {
	const struct stats *stats;
	struct web_counters *counters;
	struct access access; /* only its ranges */
	struct event_base *base;
	struct evhttp *http;
	struct connections connections;
	/* A timerfd(2): libevent's own timers take a struct timeval, of which a libevent built with
	 * 32-bit time has another form. */
	int timer;
	struct event *tick;
	struct event *resume; /* see accept_connection */
	struct evhttp_bound_socket *listeners[WEB_ROLE_LISTENERS_MAX];
	size_t listener_count;
	bool replying;	 /* with a page of ours, not of evhttp */
	size_t accepted; /* since the listeners were resumed */
	int64_t end;	 /* when to end, on the monotonic clock; INT64_MAX: not draining */
	struct leap leap;
};

/* The response to a request, while its page is written. */
struct http_response {
	const struct http_server *server;
	struct evhttp_request *request;
	struct evbuffer *body;
	struct connection_arrival arrival; /* of the request */
	int code;			   /* 200 unless the page sets another */
	const char *type; /* Content-Type; plain text unless the page sets another */
	const char
		*policy; /* Content-Security-Policy; loads nothing unless the page sets another */
};

/* Handles all requests; stats, counters and access are set already. Returns false with errno; to be
 * closed all the same. */
bool http_open(struct http_server *server, struct event_base *base);

/* Accepts connections on a listening socket, which becomes the server's. */
bool http_listen(struct http_server *server, int listener);

/* Accepts no more connections, and ends the event loop when there are none left, or after
 * ROLE_DRAIN_MILLISECONDS. */
void http_drain(struct http_server *server);

void http_close(struct http_server *server);

/* The path of a route, as the label of its counters; "other" for WEB_OTHER. */
const char *http_path_name(enum web_path path);

/* Makes the response an error: a status, and one line of text. */
void http_fail(struct http_response *response, int code, const char *text);

/* The query of the request's URL, without the "?"; empty if it has none. */
const char *http_query(const struct http_response *response);

/* A header of the request; empty if it has none. */
const char *http_header(const struct http_response *response, const char *name);

/* The name of this host as the client has it; "timeserver" if that is no valid name. */
const char *http_host(const struct http_response *response);

/* Adds text, escaped for HTML. */
void http_add_escaped(struct evbuffer *body, const char *text);

#endif
