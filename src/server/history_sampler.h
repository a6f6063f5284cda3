/* Keeps the last hour in the stats, and who asks the most, while there is a status page to show
 * it on. */
#ifndef SERVER_HISTORY_SAMPLER_H
#define SERVER_HISTORY_SAMPLER_H

#include <stdint.h>

#include "server/request/workers.h"
#include "stats/stats.h"
#include "stats/web_counters.h"

struct recorder {
	uint64_t requests[PROTOCOL_COUNT], drops; /* as counted at the last sample */
	int64_t next;				  /* when to take one, on the monotonic clock */
};

/* Takes a sample if one is due at now. Returns when the next one is. */
int64_t recorder_tend(struct recorder *recorder, const struct service *service,
		      const struct workers *workers, const struct web_counters *web, int64_t now);

/* Publishes who asks the most, if whoever looks at the status page is to see that. Done with every
 * sample. */
void recorder_publish_top_clients(const struct service *service, const struct workers *workers);

/* Nothing is recorded from here on. */
void recorder_rest(struct recorder *recorder, struct stats *stats);

#endif
