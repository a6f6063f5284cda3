#include "server/history_sampler.h"

/* The difference to the last value, which becomes now. */
static uint32_t since(uint64_t *last, uint64_t now)
{
	uint64_t more = now - *last;

	*last = now;
	return more > UINT32_MAX ? UINT32_MAX : (uint32_t)more;
}

static void take_sample(struct history_sampler *sampler, struct stats *stats,
			const struct web_counters *web, int64_t now, struct history_sample *sample)
{
	struct clock_state state;
	struct counters sum = { 0 };

	stats_sum(stats, web, &sum);
	for (size_t i = 0; i < PROTOCOL_COUNT; i++)
		sample->requests[i] = since(&sampler->requests[i], counter_read(&sum.requests[i]));
	sample->drops = since(&sampler->drops, counters_drops(&sum));
	clock_state_read(&stats->clock, now, &state);
	sample->synchronised = clock_state_is_synchronised(&state);
}

void history_sampler_publish_top_clients(const struct service *service,
					 const struct workers *workers)
{
	struct top_clients_list top_clients;

	if (!service->config.http_show_clients)
		return;
	workers_top_clients(workers, &top_clients);
	stats_publish_top_clients(service->stats, &top_clients);
}

int64_t history_sampler_tick(struct history_sampler *sampler, const struct service *service,
			     const struct workers *workers, const struct web_counters *web,
			     int64_t now)
{
	struct history_sample sample;
	bool first = sampler->next == 0;

	if (now < sampler->next)
		return sampler->next;
	take_sample(sampler, service->stats, web, now, &sample);
	history_sampler_publish_top_clients(service, workers);
	if (!first)
		history_add(&service->stats->history, &sample);
	sampler->next = now + HISTORY_INTERVAL;
	return sampler->next;
}

void history_sampler_reset(struct history_sampler *sampler, struct stats *stats)
{
	sampler->next = 0;
	history_clear(&stats->history);
}
