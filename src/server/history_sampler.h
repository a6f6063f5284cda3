/* Samples the last hour's history and the top clients into the stats, for the status page. */
#ifndef SERVER_HISTORY_SAMPLER_H
#define SERVER_HISTORY_SAMPLER_H

#include <stdint.h>

#include "server/request/workers.h"
#include "stats/stats.h"
#include "stats/web_counters.h"

struct history_sampler {
	uint64_t requests[PROTOCOL_COUNT], drops; /* at the last sample */
	int64_t next; /* when to sample, on the monotonic clock; 0: no sample yet */
};

/* Takes a sample if one is due at now. Returns when the next one is due. */
int64_t history_sampler_tick(struct history_sampler *sampler, const struct service *service,
			     const struct workers *workers, const struct web_counters *web,
			     int64_t now);

/* Publishes the top clients if the status page is to show them. Each sample does this too. */
void history_sampler_publish_top_clients(const struct service *service,
					 const struct workers *workers);

/* Clears the history; the next tick starts it again. */
void history_sampler_reset(struct history_sampler *sampler, struct stats *stats);

#endif
