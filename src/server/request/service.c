#include "server/request/service.h"

#include <string.h>

void service_update_ports(struct service *service)
{
	if (!service_has_datagrams(service))
		return;
	memset(service->ports, 0, sizeof(service->ports));
	for (size_t i = 0; i < service->listeners.count; i++) {
		uint16_t port = address_port(&service->listeners.items[i].address);

		service->ports[port / 8] |= (uint8_t)(1U << port % 8);
	}
}

bool service_has_datagrams(const struct service *service)
{
	for (size_t i = 0; i < service->listeners.count; i++) {
		if (service->listeners.items[i].protocol->transport == TRANSPORT_UDP)
			return true;
	}
	return false;
}

bool service_needs_clock(const struct service *service)
{
	for (size_t i = 0; i < service->listeners.count; i++) {
		if (service->listeners.items[i].protocol->reports_sync)
			return true;
	}
	return service->config.require_sync;
}
