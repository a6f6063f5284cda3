/* Keeps the last hour in the stats, and who asks the most, while there is a status page to show
 * it on. */
#ifndef SERVER_HISTORY_SAMPLER_H
#define SERVER_HISTORY_SAMPLER_H

#include <stdint.h>

#include "server/request/workers.h"
#include "stats/stats.h"
#include "stats/web_counters.h"

struct history_sampler {
	uint64_t requests[PROTOCOL_COUNT], drops; /* as counted at the last sample */
	int64_t next;				  /* when to take one, on the monotonic clock */
};

/* Takes a sample if one is due at now. Returns when the next one is. */
int64_t history_sampler_tick(struct history_sampler *sampler, const struct service *service,
			     const struct workers *workers, const struct web_counters *web,
			     int64_t now);

/* Publishes who asks the most, if whoever looks at the status page is to see that. Done with every
 * sample. */
void history_sampler_publish_top_clients(const struct service *service,
					 const struct workers *workers);

/* Nothing is recorded from here on. */
void history_sampler_reset(struct history_sampler *sampler, struct stats *stats);

#endif
