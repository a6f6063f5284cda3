/* The web process' parts, and what they all work with. */
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

struct site {
	const struct stats *stats;
	struct web_counters *counters;
	struct access access; /* who may ask: its ranges */
	struct event_base *base;
	struct evhttp *http;
	struct visitors visitors;
	int timer; /* timerfd(2): libevent's own timers have a form that a library built for
			      * times of 32 bits does not share with us */
	struct event *sweep;  /* when that is due: see visitors_sweep */
	struct event *reopen; /* the doors: see accept_visitor */
	struct evhttp_bound_socket *doors[WEB_ROLE_LISTENERS_MAX];
	size_t door_count;
	size_t accepted; /* since the doors were opened */
	int64_t end;	 /* when to end, on the monotonic clock; INT64_MAX: not yet */
	struct leap leap;
};

/* An answer in the making. */
struct page {
	const struct site *site;
	struct evhttp_request *request;
	struct evbuffer *body;
	struct arrival arrival; /* of the request */
	int code;		/* 200 unless the page says otherwise */
	const char *type;	/* of the content */
	const char *policy;	/* what a browser may load for it (Content-Security-Policy) */
};

/* Has http answer all paths for site. Returns false if memory is short. */
bool site_open(struct site *site, struct event_base *base);

/* Has visitors come in by a listening socket. */
bool site_open_door(struct site *site, int listener);

/* Lets nobody in from now on, and ends the loop of events once there is no connection left, or a
 * moment has gone by. */
void site_end(struct site *site);

void site_close(struct site *site);

/* The pages: each writes its body, and what differs from a good answer of plain text. */
void page_write_clock(struct page *page);
void page_write_time(struct page *page);
void page_write_nict(struct page *page);
void page_write_status(struct page *page);
void page_write_status_json(struct page *page);
void page_write_metrics(struct page *page);
void page_write_health(struct page *page);

/* The path of a route as a label of its counters; "other" for WEB_OTHER. */
const char *http_path_name(enum web_path path);

/* Makes the page an error, told in a line. */
void page_fail(struct page *page, int code, const char *text);

/* What stands behind the "?" of the address; empty if nothing does. */
const char *page_query(const struct page *page);

/* A header of the request; empty if it has none. */
const char *page_header(const struct page *page, const char *name);

/* The host by the name that the client used, if that can be one. */
const char *page_host(const struct page *page);

/* Adds text with what is special in HTML escaped. */
void page_add_escaped(struct evbuffer *body, const char *text);

#endif
