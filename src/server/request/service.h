/* What all workers share while they run, and none of them writes. */
#ifndef SERVER_SERVICE_H
#define SERVER_SERVICE_H

#include <stdbool.h>
#include <stdint.h>

#include "server/config/config.h"
#include "server/sockets/listeners.h"
#include "stats/stats.h"

struct service {
	struct config config;
	struct listeners listeners;
	struct stats *stats;	  /* what is counted, and what is known of the clock */
	int8_t precision;	  /* of the clock */
	uint8_t ports[65536 / 8]; /* those of listeners, as bits */
};

/* Whether a protocol is to be silent about a clock in such a state: one that cannot tell how far
 * its time is to be trusted, where the operator requires that it is. */
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

/* Notes which ports the listeners have. */
void service_update_ports(struct service *service);

/* Whether anything is served that depends on the state of the clock. */
bool service_needs_clock(const struct service *service);

#endif
