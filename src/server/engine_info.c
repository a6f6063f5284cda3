/* What the stats say about the engine as it is configured. */
#include "server/engine.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void note_source(const struct config_clock *clock, char *text, size_t size)
{
	bool bare = strchr(clock->host, ':') == NULL;

	switch (clock->source) {
	case CLOCK_SOURCE_SYSTEM:
		snprintf(text, size, "system");
		break;
	case CLOCK_SOURCE_LOCAL:
		snprintf(text, size, "local");
		break;
	case CLOCK_SOURCE_FOLLOW:
		snprintf(text, size, bare ? "follow %s:%u" : "follow [%s]:%u", clock->host,
			 clock->port);
		break;
	}
}

static void note_listens(const struct listeners *listeners, struct stats_info *info)
{
	for (size_t i = 0; i < listeners->count; i++) {
		const struct listener *listener = &listeners->items[i];
		uint32_t number = info->listen_count;

		if (listener->shard != 0)
			continue;
		info->listen_count++;
		if (number >= STATS_LISTENS)
			continue;
		info->listens[number].protocol = (uint32_t)protocol_index(listener->protocol);
		address_format(&listener->address, info->listens[number].address);
	}
}

void engine_publish_info(struct engine *engine)
{
	const struct config *config = &engine->service.config;
	struct stats_info info = {
		.started = engine->started,
		.started_clock = engine->started_clock,
		.process = (uint32_t)getpid(),
		.user = geteuid(),
		.workers = engine->workers.count,
		.capacity = workers_capacity(&engine->workers),
		.clock_watched = engine->monitor.running,
		.upgraded = engine->upgraded,
		.show_clients = config->http_show_clients,
	};

	privileges_describe(&engine->privileges, info.confined, sizeof(info.confined));
	note_source(&config->clock, info.source, sizeof(info.source));
	note_listens(&engine->service.listeners, &info);
	stats_publish_info(engine->service.stats, &info);
}
