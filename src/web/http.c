/* Requests on their way to a page, and answers on theirs to the client. */
#include "web/http.h"

#include <event2/listener.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "web/query.h"

#define HEADERS_MAX 8192 /* bytes */
#define BODY_MAX    1024 /* which nobody reads; longer ones evhttp refuses by itself */
#define FORBIDDEN   403

/* How often to look for connections whose time is over, and how long, at the end, they may take. */
#define LOOK	   (CLOCK_SECOND / 8)
#define DRAIN_TIME (CLOCK_SECOND / 4)

/* By what they are counted as; WEB_OTHER is every other path. */
static const struct route {
	const char *path;
	void (*write)(struct page *page);
} routes[WEB_PATHS] = {
	[WEB_CLOCK] = { "/", page_write_clock },
	[WEB_TIME] = { "/time.json", page_write_time },
	[WEB_NICT] = { "/cgi-bin/json", page_write_nict },
	[WEB_STATUS] = { "/status", page_write_status },
	[WEB_STATUS_JSON] = { "/status.json", page_write_status_json },
	[WEB_METRICS] = { "/metrics", page_write_metrics },
	[WEB_HEALTH] = { "/healthz", page_write_health },
	[WEB_OTHER] = { "other", NULL },
};

const char *http_path_name(enum web_path path)
{
	return routes[path].path;
}

void page_fail(struct page *page, int code, const char *text)
{
	page->code = code;
	evbuffer_add_printf(page->body, "%s\n", text);
}

const char *page_query(const struct page *page)
{
	const char *query = evhttp_uri_get_query(evhttp_request_get_evhttp_uri(page->request));

	return query ? query : "";
}

const char *page_header(const struct page *page, const char *name)
{
	const char *value =
		evhttp_find_header(evhttp_request_get_input_headers(page->request), name);

	return value ? value : "";
}

const char *page_host(const struct page *page)
{
	const char *host = evhttp_request_get_host(page->request);

	return host && query_is_host(host) ? host : "timeserver";
}

void page_add_escaped(struct evbuffer *body, const char *text)
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

static struct bufferevent *connection_of(const struct page *page)
{
	return evhttp_connection_get_bufferevent(evhttp_request_get_connection(page->request));
}

static void write_page(struct page *page, enum web_path route)
{
	enum evhttp_cmd_type method = evhttp_request_get_command(page->request);

	if (!visitors_allow(&page->site->visitors, connection_of(page))) {
		page_fail(page, FORBIDDEN, "You may not ask here.");
	} else if (method != EVHTTP_REQ_GET && method != EVHTTP_REQ_HEAD) {
		evhttp_add_header(evhttp_request_get_output_headers(page->request), "Allow",
				  "GET, HEAD");
		page_fail(page, HTTP_BADMETHOD, "This can be read, and nothing else.");
	} else if (route == WEB_OTHER) {
		page_fail(page, HTTP_NOTFOUND, "There is no such page.");
	} else {
		routes[route].write(page);
	}
}

/* evhttp would keep the connection of who may not ask, or has said CONNECT. */
static bool is_unwelcome(const struct page *page)
{
	return page->code == HTTP_BADMETHOD || page->code == FORBIDDEN;
}

static void add_headers(const struct page *page, size_t length)
{
	struct evkeyvalq *headers = evhttp_request_get_output_headers(page->request);
	time_t now = (time_t)(clock_realtime() / CLOCK_SECOND);
	char text[32], date[64] = "";
	struct tm utc;

	if (gmtime_r(&now, &utc))
		strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S GMT", &utc);
	snprintf(text, sizeof(text), "%zu", length);
	evhttp_add_header(headers, "Content-Type", page->type);
	evhttp_add_header(headers, "Content-Length", text);
	evhttp_add_header(headers, "Cache-Control", "no-store");
	evhttp_add_header(headers, "Content-Security-Policy", page->policy);
	evhttp_add_header(headers, "X-Content-Type-Options", "nosniff");
	evhttp_add_header(headers, "Referrer-Policy", "no-referrer");
	evhttp_add_header(headers, "Vary", "Accept, Accept-Language");
	evhttp_add_header(headers, "Date", date);
	if (is_unwelcome(page) || page->site->end != INT64_MAX)
		evhttp_add_header(headers, "Connection", "close");
}

static void count(const struct page *page, enum web_path route)
{
	struct web_counters *counters = page->site->counters;
	enum web_outcome outcome = page->code < 400 ? WEB_GOOD :
				   page->code < 500 ? WEB_REFUSED :
						      WEB_FAILED;

	counter_add_shared(&counters->requests[route][outcome], 1);
	histogram_count(&counters->response_time, clock_monotonic() - page->arrival.moment);
}

static void answer(struct evhttp_request *request, void *argument)
{
	struct site *site = argument;
	struct bufferevent *connection =
		evhttp_connection_get_bufferevent(evhttp_request_get_connection(request));
	enum web_path route = find_route(request);
	struct page page = {
		.site = site,
		.request = request,
		.body = evbuffer_new(),
		.arrival = visitors_take_request(&site->visitors, connection),
		.code = HTTP_OK,
		.type = "text/plain; charset=utf-8",
		.policy = "default-src 'none'; frame-ancestors 'none'",
	};

	if (!page.body) {
		evhttp_send_error(request, HTTP_INTERNAL, NULL);
		return;
	}
	write_page(&page, route);
	add_headers(&page, evbuffer_get_length(page.body));
	if (evhttp_request_get_command(request) == EVHTTP_REQ_HEAD)
		evbuffer_drain(page.body, evbuffer_get_length(page.body));
	count(&page, route);
	evhttp_send_reply(request, page.code, NULL, page.body);
	if (is_unwelcome(&page))
		visitors_dismiss(&site->visitors, connection);
	evbuffer_free(page.body);
}

/* Looks, from now on and again and again, or no more. */
static bool set_timer(struct site *site, bool on)
{
	const struct itimerspec times = {
		.it_value.tv_nsec = on ? LOOK : 0,
		.it_interval.tv_nsec = on ? LOOK : 0,
	};

	return timerfd_settime(site->timer, 0, &times, NULL) == 0;
}

/* That a door could not be watched is told only to those who ask for it a second time. */
static bool watch_door(struct evhttp_bound_socket *door)
{
	return evconnlistener_enable(evhttp_bound_socket_get_listener(door)) == 0;
}

static void reopen(int fd, short events, void *argument)
{
	struct site *site = argument;
	bool opened = true;

	(void)fd;
	(void)events;
	for (size_t i = 0; i < site->door_count; i++)
		opened = watch_door(site->doors[i]) && opened;
	if (opened)
		site->accepted = 0;
}

/* evhttp accepts as long as somebody waits. So that in a rush those who were let in are heard
 * before others have their places, the doors are shut for a moment. */
static struct bufferevent *accept_visitor(struct event_base *base, void *argument)
{
	struct site *site = argument;

	if (visitors_count(&site->visitors) == 0)
		set_timer(site, true);
	if (++site->accepted == site->visitors.batch) {
		for (size_t i = 0; i < site->door_count; i++)
			evconnlistener_disable(evhttp_bound_socket_get_listener(site->doors[i]));
		event_active(site->reopen, EV_WRITE, 0);
	}
	return visitors_add(&site->visitors, base);
}

static void sweep(int timer, short events, void *argument)
{
	struct site *site = argument;
	int64_t now = clock_monotonic();
	uint64_t expirations;
	bool empty;

	(void)events;
	(void)!read(timer, &expirations, sizeof(expirations));
	visitors_sweep(&site->visitors, now);
	if (site->accepted >= site->visitors.batch)
		reopen(-1, 0, site);
	empty = visitors_count(&site->visitors) == 0 && site->accepted < site->visitors.batch;
	if (empty && site->end == INT64_MAX)
		set_timer(site, false);
	if (now >= site->end || (empty && site->end != INT64_MAX))
		event_base_loopbreak(site->base);
}

void site_end(struct site *site)
{
	site->end = clock_monotonic() + DRAIN_TIME;
	for (size_t i = 0; i < site->door_count; i++)
		evhttp_del_accept_socket(site->http, site->doors[i]);
	site->door_count = 0;
	visitors_count_no_more(&site->visitors);
	if (!set_timer(site, true) || visitors_count(&site->visitors) == 0)
		event_base_loopbreak(site->base);
}

bool site_open(struct site *site, struct event_base *base)
{
	site->base = base;
	site->end = INT64_MAX;
	site->http = evhttp_new(base);
	site->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (!site->http || site->timer < 0)
		return false;
	site->sweep = event_new(base, site->timer, EV_READ | EV_PERSIST, sweep, site);
	site->reopen = event_new(base, -1, 0, reopen, site);
	if (!site->sweep || event_add(site->sweep, NULL) < 0 || !site->reopen)
		return false;
	evhttp_set_bevcb(site->http, accept_visitor, site);
	evhttp_set_gencb(site->http, answer, site);
	/* All of them: it is for us to say which are allowed. */
	evhttp_set_allowed_methods(site->http, UINT16_MAX);
	evhttp_set_max_headers_size(site->http, HEADERS_MAX);
	evhttp_set_max_body_size(site->http, BODY_MAX);
	evhttp_set_timeout(site->http, VISITOR_PATIENCE / CLOCK_SECOND);
	visitors_open(&site->visitors, &site->access, &site->counters->connections);
	return true;
}

bool site_open_door(struct site *site, int listener)
{
	struct evhttp_bound_socket *door = evhttp_accept_socket_with_handle(site->http, listener);

	if (door)
		site->doors[site->door_count++] = door;
	return door && watch_door(door);
}

void site_close(struct site *site)
{
	if (site->reopen)
		event_free(site->reopen);
	if (site->sweep)
		event_free(site->sweep);
	if (site->http)
		evhttp_free(site->http);
}
