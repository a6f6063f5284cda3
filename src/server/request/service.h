/* What all workers share; nothing of it changes while they run, but for what is published. */
#ifndef SERVER_SERVICE_H
#define SERVER_SERVICE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/ceiling.h"
#include "server/config/config.h"
#include "server/sockets/interfaces.h"
#include "server/sockets/listeners.h"
#include "stats/stats.h"

struct service {
	struct config config;
	struct listeners listeners;
	struct interfaces_snapshot interfaces; /* published by the main thread */
	struct ceiling *ceilings; /* of all networks but own ones, and of own networks */
	struct stats *stats;	  /* with the clock state, and the counters of each worker */
	int8_t precision;	  /* of the clock */
	uint8_t ports[65536 / 8]; /* a bit for each port that is served */
};

/* Whether require-sync silences a protocol while the clock is in this state. */
static inline bool service_is_silent(const struct service *service, const struct protocol *protocol,
				     const struct clock_state *state)
{
	return service->config.require_sync && !protocol->reports_sync &&
	       !clock_state_is_synchronised(state);
}

/* Whether any protocol is served on this port. */
static inline bool service_has_port(const struct service *service, uint16_t port)
{
	return (service->ports[port / 8] >> port % 8 & 1) != 0;
}

/* Sets ports from the listeners, if one of them is for datagrams, whose peers are compared. */
void service_update_ports(struct service *service);

/* Whether anything is served over UDP by workers. */
bool service_has_datagrams(const struct service *service);

/* Whether anything that is served depends on the clock state. */
bool service_needs_clock(const struct service *service);

#endif
