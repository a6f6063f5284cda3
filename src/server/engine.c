#include "server/engine.h"

#include <stdio.h>
#include <unistd.h>

#include "base/log.h"

#define RETRY_INTERVAL	CLOCK_SECOND
#define LIMITS_INTERVAL (5 * CLOCK_SECOND)

bool engine_open(struct engine *engine, struct config *config, struct failure *failure)
{
	bool opened;

	engine->service.config = *config;
	engine->service.precision = clock_measure_precision();
	engine->started = clock_boottime();
	engine->started_clock = time(NULL);
	engine->retry_at = INT64_MAX;
	*config = (struct config){ 0 };
	clock_open_zone();
	engine->service.ceilings = engine->ceilings;
	engine->workers.service = &engine->service;
	opened = web_child_open(&engine->web, &engine->service, &engine->privileges, failure);
	engine->service.stats = engine->web.stats;
	return opened;
}

bool engine_open_sockets(struct engine *engine, struct listeners *present, struct failure *failure)
{
	struct service *service = &engine->service;

	if (!listeners_open(&service->listeners, &service->config, workers_wanted(&service->config),
			    present, failure))
		return false;
	listeners_close_unless(present, &service->listeners);
	service_update_ports(service);
	return true;
}

/* Starts the clock monitor, restarts it for another source, or stops it if no protocol needs it. A
 * first clock state is published when this returns. */
static bool update_monitor(struct engine *engine, struct failure *failure)
{
	const struct service *service = &engine->service;
	const struct config_clock *source = &service->config.clock;
	bool needed = service_needs_clock(service);

	if (needed && engine->monitor.running &&
	    config_clock_equal(source, &engine->monitor.source))
		return true;
	clock_monitor_stop(&engine->monitor);
	return !needed || clock_monitor_start(&engine->monitor, source, service->stats, failure);
}

/* Publishes the networks of the interfaces, and logs which limits were reached. Returns when to do
 * it again. */
static int64_t tick_limits(struct engine *engine, int64_t now)
{
	if (!service_has_datagrams(&engine->service))
		return INT64_MAX;
	if (engine->limits_at <= now) {
		interfaces_update(&engine->service.interfaces);
		limits_log_tick(&engine->limits_log, engine->service.stats, now);
		engine->limits_at = now + LIMITS_INTERVAL;
	}
	return engine->limits_at;
}

static bool start_threads(struct engine *engine, struct failure *failure)
{
	unsigned wanted = workers_wanted(&engine->service.config);

	if (engine_is_halted(engine))
		listeners_resume(&engine->service.listeners);
	engine->limits_at = 0;
	tick_limits(engine, clock_monotonic());
	return workers_resize(&engine->workers, wanted, failure) &&
	       update_monitor(engine, failure) && workers_start(&engine->workers, failure);
}

static void describe_source(const struct config_clock *clock, char *text, size_t size)
{
	char place[sizeof(clock->host) + sizeof("[]:65535")];

	switch (clock->source) {
	case CLOCK_SOURCE_SYSTEM:
		snprintf(text, size, "system");
		break;
	case CLOCK_SOURCE_LOCAL:
		snprintf(text, size, "local");
		break;
	case CLOCK_SOURCE_FOLLOW:
		snprintf(text, size, "follow %s",
			 address_join(place, sizeof(place), clock->host, clock->port));
		break;
	}
}

static void describe_listens(const struct listeners *listeners, struct stats_info *info)
{
	for (size_t i = 0; i < listeners->count && info->listen_count < STATS_LISTENS; i++) {
		const struct listener *listener = &listeners->items[i];

		if (listener->shard != 0)
			continue;
		snprintf(info->listens[info->listen_count].protocol, PROTOCOL_WORD_SIZE, "%s",
			 listener->protocol->word);
		address_format(&listener->address, info->listens[info->listen_count].address);
		info->listen_count++;
	}
}

static void publish_info(struct engine *engine)
{
	const struct config *config = &engine->service.config;
	struct stats_info info = {
		.started = engine->started,
		.started_clock = (uint64_t)engine->started_clock,
		.process = (uint64_t)getpid(),
		.user = geteuid(),
		.workers = engine->workers.count,
		.connections_max = workers_capacity(&engine->workers),
		.clock_monitored = engine->monitor.running,
		.upgraded = engine->upgraded,
		.show_clients = config->http_show_clients,
	};

	privileges_describe(&engine->privileges, info.confined, sizeof(info.confined));
	describe_source(&config->clock, info.source, sizeof(info.source));
	describe_listens(&engine->service.listeners, &info);
	stats_publish_info(engine->service.stats, &info);
}

bool engine_update_web(struct engine *engine, struct failure *failure)
{
	struct web_child *web = &engine->web;
	bool updated;

	publish_info(engine);
	history_sampler_publish_top_clients(&engine->service, &engine->workers);
	updated = web_child_replace(web, failure);
	if (!child_is_wanted(&web->child))
		history_sampler_reset(&engine->sampler, web->stats);
	return updated;
}

bool engine_start(struct engine *engine, struct failure *failure)
{
	return start_threads(engine, failure) && engine_update_web(engine, failure);
}

static void swap(struct service *service, struct engine_setup *next)
{
	struct engine_setup old = { service->config, service->listeners };

	service->config = next->config;
	service->listeners = next->listeners;
	*next = old;
	service_update_ports(service);
}

/* Replies to the clients that the kernel has accepted on listeners that are about to be closed. */
static void drain_closed(struct engine *engine, const struct listeners *old)
{
	for (size_t i = 0; i < old->count; i++) {
		if (!listeners_have(&engine->service.listeners, old->items[i].fd))
			workers_drain_listener(&engine->workers, &old->items[i]);
	}
}

/* Other processes may have taken the threads that were ended. Requests wait in the kernel for the
 * first retry. */
static void schedule_retry(struct engine *engine, const struct failure *failure)
{
	if (!engine_is_halted(engine))
		log_write(LOG_CRIT, "nothing is served: %s; retrying every second", failure->text);
	engine->retry_at = clock_monotonic() + RETRY_INTERVAL;
}

bool engine_exchange(struct engine *engine, struct engine_setup *next, struct failure *failure)
{
	struct service *service = &engine->service;
	struct failure also_failed;
	bool exchanged;

	workers_stop(&engine->workers);
	swap(service, next);
	clock_reload_zone();
	drain_closed(engine, &next->listeners);
	exchanged = start_threads(engine, failure);
	workers_join_retired(&engine->workers);
	if (!exchanged) {
		swap(service, next);
		/* Requests may wait in the new sockets of a shared address already. */
		listeners_keep_group(&service->listeners, &next->listeners);
		if (!start_threads(engine, &also_failed)) {
			schedule_retry(engine, &also_failed);
			return false;
		}
	}
	engine->retry_at = INT64_MAX;
	return exchanged;
}

bool engine_undo_exchange(struct engine *engine, struct engine_setup *next)
{
	struct failure ignored;
	bool undone = engine_exchange(engine, next, &ignored);

	publish_info(engine);
	if (!web_child_is_configured(&engine->service.listeners))
		child_stop(&engine->web.child);
	return undone;
}

static void retry(struct engine *engine)
{
	struct failure failure;

	if (!start_threads(engine, &failure)) {
		listeners_refuse(&engine->service.listeners, false);
		schedule_retry(engine, &failure);
		return;
	}
	engine->retry_at = INT64_MAX;
	publish_info(engine);
	log_write(LOG_NOTICE, "serving again");
}

bool engine_is_awake(const struct engine *engine)
{
	return workers_are_awake(&engine->workers) && clock_monitor_is_awake(&engine->monitor);
}

void engine_wake(const struct engine *engine)
{
	workers_wake(&engine->workers);
	clock_monitor_wake(&engine->monitor);
}

int64_t engine_tick(struct engine *engine, int64_t now)
{
	struct web_child *web = &engine->web;
	int64_t due;

	if (engine->retry_at <= now)
		retry(engine);
	due = clock_earlier(engine->retry_at, web_child_tick(web, now));
	due = clock_earlier(due, tick_limits(engine, now));
	if (!child_is_wanted(&web->child))
		return due;
	return clock_earlier(due, history_sampler_tick(&engine->sampler, &engine->service,
						       &engine->workers, web->counters, now));
}

void engine_drain(struct engine *engine)
{
	struct listeners *listeners = &engine->service.listeners;
	struct counters sum = { 0 };

	child_release(&engine->web.child);
	workers_stop(&engine->workers);
	for (size_t i = 0; i < listeners->count; i++)
		workers_drain_listener(&engine->workers, &listeners->items[i]);
	listeners_close_unless(listeners, NULL);
	workers_drain(&engine->workers);
	child_wait_exit(&engine->web.child);
	stats_sum(engine->service.stats, engine->web.counters, &sum);
	log_write(LOG_NOTICE, "stopped after %llu replies",
		  (unsigned long long)counters_replies(&sum));
}

void engine_close(struct engine *engine)
{
	child_release(&engine->web.child);
	clock_monitor_stop(&engine->monitor);
	workers_stop(&engine->workers);
	workers_close(&engine->workers);
	listeners_close_unless(&engine->service.listeners, NULL);
	web_child_close(&engine->web);
	config_free(&engine->service.config);
}
