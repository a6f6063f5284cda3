#include "web/http.h"

#include <event2/http_struct.h>
#include <event2/keyvalq_struct.h>
#include <event2/listener.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/queue.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "base/role.h"
#include "web/page.h"
#include "web/query.h"

#define HEADERS_MAX 8192 /* bytes */
#define BODY_MAX    1024 /* bytes, which are ignored; evhttp refuses a longer body itself */
#define FORBIDDEN   403

#define POLICY	       "Content-Security-Policy"
#define POLICY_NOTHING "default-src 'none'; frame-ancestors 'none'"

/* Of every reply, as its policy is. */
static const struct {
	const char *name, *value;
} fixed_headers[] = {
	{ "Cache-Control", "no-store" },
	{ "X-Content-Type-Options", "nosniff" },
	{ "Referrer-Policy", "no-referrer" },
	{ "Vary", "Accept, Accept-Language" },
};

#define TICK	   (CLOCK_SECOND / 8)
#define DRAIN_TIME (ROLE_DRAIN_MILLISECONDS * CLOCK_MILLISECOND)

static void write_not_found(struct http_response *response)
{
	http_fail(response, HTTP_NOTFOUND, "Not found.");
}

static const struct route {
	const char *path;
	void (*write)(struct http_response *response);
} routes[WEB_PATHS] = {
	[WEB_CLOCK] = { "/", page_clock_write },
	[WEB_TIME] = { "/time.json", page_data_write_time },
	[WEB_NICT] = { "/cgi-bin/json", page_data_write_nict },
	[WEB_STATUS] = { "/status", page_status_write },
	[WEB_STATUS_JSON] = { "/status.json", page_data_write_status },
	[WEB_METRICS] = { "/metrics", page_metrics_write },
	[WEB_HEALTH] = { "/healthz", page_data_write_health },
	[WEB_OTHER] = { "other", write_not_found },
};

const char *http_path_name(enum web_path path)
{
	return routes[path].path;
}

void http_fail(struct http_response *response, int code, const char *text)
{
	response->code = code;
	evbuffer_add_printf(response->body, "%s\n", text);
}

const char *http_query(const struct http_response *response)
{
	const char *query = evhttp_uri_get_query(evhttp_request_get_evhttp_uri(response->request));

	return query ? query : "";
}

const char *http_header(const struct http_response *response, const char *name)
{
	const char *value =
		evhttp_find_header(evhttp_request_get_input_headers(response->request), name);

	return value ? value : "";
}

const char *http_host(const struct http_response *response)
{
	const char *host = evhttp_request_get_host(response->request);

	return host && query_is_host(host) ? host : "timeserver";
}

void http_add_escaped(struct evbuffer *body, const char *text)
{
	char *escaped = evhttp_htmlescape(text);

	if (escaped)
		evbuffer_add_printf(body, "%s", escaped);
	free(escaped);
}

static enum web_path find_route(struct evhttp_request *request)
{
	const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(request);
	const char *path = uri ? evhttp_uri_get_path(uri) : NULL;
	enum web_path route = 0;

	while (route < WEB_OTHER && (!path || strcmp(path, routes[route].path) != 0))
		route++;
	return route;
}

static struct bufferevent *stream_of(struct evhttp_request *request)
{
	return evhttp_connection_get_bufferevent(evhttp_request_get_connection(request));
}

/* A browser sends one. A request without it, as of HTTP/1.0, is served, too. */
static bool has_bad_host(struct evhttp_request *request)
{
	const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(request);
	const char *of_uri = uri ? evhttp_uri_get_host(uri) : NULL;
	unsigned count = 0;
	struct evkeyval *header;

	TAILQ_FOREACH(header, evhttp_request_get_input_headers(request), next)
	{
		if (strcasecmp(header->key, "Host") != 0)
			continue;
		if (++count > 1 || (header->value[0] != '\0' && !query_is_host(header->value)))
			return true;
	}
	return of_uri && of_uri[0] != '\0' && !query_is_host(of_uri);
}

static void write_response(struct http_response *response, enum web_path route)
{
	struct evhttp_request *request = response->request;
	enum evhttp_cmd_type method = evhttp_request_get_command(request);

	if (!connections_allow(&response->server->connections, stream_of(request))) {
		http_fail(response, FORBIDDEN, "Forbidden: this address may not use this server.");
	} else if (has_bad_host(request)) {
		http_fail(response, HTTP_BADREQUEST, "Bad host: expected one name or address.");
	} else if (method != EVHTTP_REQ_GET && method != EVHTTP_REQ_HEAD) {
		evhttp_add_header(evhttp_request_get_output_headers(request), "Allow", "GET, HEAD");
		http_fail(response, HTTP_BADMETHOD, "Method not allowed: use GET or HEAD.");
	} else {
		routes[route].write(response);
	}
}

/* evhttp itself would keep the connection open, also after CONNECT. */
static bool must_close(const struct http_response *response)
{
	return response->code == HTTP_BADMETHOD || response->code == FORBIDDEN;
}

static void add_headers(const struct http_response *response, size_t length)
{
	struct evkeyvalq *headers = evhttp_request_get_output_headers(response->request);
	time_t now = (time_t)(clock_realtime() / CLOCK_SECOND);
	char text[32], date[64] = "";
	struct tm utc;

	if (gmtime_r(&now, &utc))
		strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S GMT", &utc);
	snprintf(text, sizeof(text), "%zu", length);
	evhttp_add_header(headers, "Content-Type", response->type);
	evhttp_add_header(headers, "Content-Length", text);
	evhttp_add_header(headers, POLICY, response->policy);
	for (size_t i = 0; i < sizeof(fixed_headers) / sizeof(fixed_headers[0]); i++)
		evhttp_add_header(headers, fixed_headers[i].name, fixed_headers[i].value);
	evhttp_add_header(headers, "Date", date);
	if (must_close(response) || response->server->end != INT64_MAX)
		evhttp_add_header(headers, "Connection", "close");
}

static void count(const struct http_response *response, enum web_path route)
{
	struct web_counters *counters = response->server->counters;
	enum web_outcome outcome = response->code < 400 ? WEB_GOOD :
				   response->code < 500 ? WEB_REFUSED :
							  WEB_FAILED;

	counter_add_shared(&counters->requests[route][outcome], 1);
	histogram_count(&counters->response_time, clock_monotonic() - response->arrival.mono);
}

/* evhttp takes any number after "HTTP/1.", and no or a negative one before the point, and would send
 * them back. */
static void set_version(struct evhttp_request *request)
{
	bool persistent = request->major == 1 && request->minor >= 1;

	request->major = 1;
	request->minor = persistent;
}

static void on_request(struct evhttp_request *request, void *argument)
{
	struct http_server *server = argument;
	struct bufferevent *stream = stream_of(request);
	enum web_path route = find_route(request);
	struct http_response response = {
		.server = server,
		.request = request,
		.body = evbuffer_new(),
		.arrival = connections_take_request(&server->connections, stream),
		.code = HTTP_OK,
		.type = "text/plain; charset=utf-8",
		.policy = POLICY_NOTHING,
	};

	set_version(request);
	if (!response.body) {
		evhttp_send_error(request, HTTP_INTERNAL, NULL);
		return;
	}
	write_response(&response, route);
	add_headers(&response, evbuffer_get_length(response.body));
	if (evhttp_request_get_command(request) == EVHTTP_REQ_HEAD)
		evbuffer_drain(response.body, evbuffer_get_length(response.body));
	count(&response, route);
	server->replying = true;
	evhttp_send_reply(request, response.code, NULL, response.body);
	server->replying = false;
	if (must_close(&response))
		connections_close_soon(&server->connections, stream);
	evbuffer_free(response.body);
}

/* Starts or stops the timer. */
static bool set_timer(struct http_server *server, bool on)
{
	const struct itimerspec times = {
		.it_value.tv_nsec = on ? TICK : 0,
		.it_interval.tv_nsec = on ? TICK : 0,
	};

	return timerfd_settime(server->timer, 0, &times, NULL) == 0;
}

/* evhttp_accept_socket_with_handle enables it, too, but does not report a failure. */
static bool enable(struct evhttp_bound_socket *listener)
{
	return evconnlistener_enable(evhttp_bound_socket_get_listener(listener)) == 0;
}

static void resume(int fd, short events, void *argument)
{
	struct http_server *server = argument;
	bool enabled = true;

	(void)fd;
	(void)events;
	for (size_t i = 0; i < server->listener_count; i++)
		enabled = enable(server->listeners[i]) && enabled;
	if (enabled)
		server->accepted = 0;
}

/* evhttp itself replies to what it cannot parse, and clears the headers of such a reply. It writes
 * the status line first: ours follow. "100 Continue" is no reply. */
static void add_headers_to_error(struct evbuffer *output, const struct evbuffer_cb_info *info,
				 void *argument)
{
	const struct http_server *server = argument;
	struct evbuffer_iovec line;
	struct evbuffer_ptr start;
	const char *status;

	/* Not by evbuffer_copyout, which fails once a reply has been sent on the connection. */
	if (server->replying || info->n_added == 0 ||
	    evbuffer_ptr_set(output, &start, info->orig_size, EVBUFFER_PTR_SET) < 0 ||
	    evbuffer_peek(output, (ev_ssize_t)info->n_added, &start, &line, 1) < 1 ||
	    line.iov_len < info->n_added || info->n_added < sizeof("HTTP/1.1 400") ||
	    memcmp(line.iov_base, "HTTP/", 5) != 0)
		return;
	status = memchr(line.iov_base, ' ', info->n_added - 1); /* the version is any numbers */
	if (!status || status[1] < '2')
		return;
	evbuffer_add_printf(output, POLICY ": " POLICY_NOTHING "\r\n");
	for (size_t i = 0; i < sizeof(fixed_headers) / sizeof(fixed_headers[0]); i++)
		evbuffer_add_printf(output, "%s: %s\r\n", fixed_headers[i].name,
				    fixed_headers[i].value);
}

/* evhttp accepts as long as connections wait. In a burst the listeners pause after each batch, so
 * that those accepted are read before others evict them. */
static struct bufferevent *accept_connection(struct event_base *base, void *argument)
{
	struct http_server *server = argument;
	struct bufferevent *stream;

	if (connections_count(&server->connections) == 0)
		set_timer(server, true);
	if (++server->accepted == server->connections.batch) {
		for (size_t i = 0; i < server->listener_count; i++)
			evconnlistener_disable(
				evhttp_bound_socket_get_listener(server->listeners[i]));
		event_active(server->resume, EV_WRITE, 0);
	}
	stream = connections_add(&server->connections, base);
	if (stream)
		evbuffer_add_cb(bufferevent_get_output(stream), add_headers_to_error, server);
	return stream;
}

static void tick(int timer, short events, void *argument)
{
	struct http_server *server = argument;
	bool draining = server->end != INT64_MAX, idle;
	int64_t now = clock_monotonic();
	uint64_t expirations;

	(void)events;
	(void)!read(timer, &expirations, sizeof(expirations));
	connections_expire(&server->connections, now);
	if (server->accepted >= server->connections.batch)
		resume(-1, 0, server);
	idle = connections_count(&server->connections) == 0 &&
	       server->accepted < server->connections.batch;
	if (idle && !draining)
		set_timer(server, false);
	if (now >= server->end || (idle && draining))
		event_base_loopbreak(server->base);
}

void http_drain(struct http_server *server)
{
	server->end = clock_monotonic() + DRAIN_TIME;
	for (size_t i = 0; i < server->listener_count; i++)
		evhttp_del_accept_socket(server->http, server->listeners[i]);
	server->listener_count = 0;
	connections_stop_counting(&server->connections);
	if (!set_timer(server, true) || connections_count(&server->connections) == 0)
		event_base_loopbreak(server->base);
}

bool http_open(struct http_server *server, struct event_base *base)
{
	server->base = base;
	server->end = INT64_MAX;
	server->http = evhttp_new(base);
	server->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (!server->http || server->timer < 0)
		return false;
	server->tick = event_new(base, server->timer, EV_READ | EV_PERSIST, tick, server);
	server->resume = event_new(base, -1, 0, resume, server);
	if (!server->tick || event_add(server->tick, NULL) < 0 || !server->resume)
		return false;
	evhttp_set_bevcb(server->http, accept_connection, server);
	evhttp_set_gencb(server->http, on_request, server);
	/* All methods: write_response replies 405 where evhttp would reply 501. */
	evhttp_set_allowed_methods(server->http, UINT16_MAX);
	evhttp_set_max_headers_size(server->http, HEADERS_MAX);
	evhttp_set_max_body_size(server->http, BODY_MAX);
	evhttp_set_timeout(server->http, CONNECTIONS_TIMEOUT / CLOCK_SECOND);
	connections_open(&server->connections, &server->access, &server->counters->connections);
	return true;
}

bool http_listen(struct http_server *server, int listener)
{
	struct evhttp_bound_socket *bound =
		evhttp_accept_socket_with_handle(server->http, listener);

	if (bound)
		server->listeners[server->listener_count++] = bound;
	return bound && enable(bound);
}

void http_close(struct http_server *server)
{
	if (server->resume)
		event_free(server->resume);
	if (server->tick)
		event_free(server->tick);
	if (server->http)
		evhttp_free(server->http);
}
