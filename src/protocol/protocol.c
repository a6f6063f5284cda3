#include <string.h>

#include "protocol/protocol.h"

const struct protocol protocol_table[PROTOCOL_COUNT] = {
	{ "daytime/tcp", "daytime", TRANSPORT_TCP, 13, true, daytime_reply },
	{ "daytime/udp", "daytime", TRANSPORT_UDP, 13, true, daytime_reply },
	{ "time/tcp", "time", TRANSPORT_TCP, 37, true, time_reply },
	{ "time/udp", "time", TRANSPORT_UDP, 37, true, time_reply },
	{ "ntp", "ntp", TRANSPORT_UDP, 123, false, ntp_reply },
	{ "http", "http", TRANSPORT_TCP, 80, false, NULL },
};

const struct protocol *protocol_find(const char *word)
{
	for (size_t i = 0; i < PROTOCOL_COUNT; i++) {
		if (strcmp(protocol_table[i].word, word) == 0)
			return &protocol_table[i];
	}
	return NULL;
}

const char *transport_name(enum transport transport)
{
	switch (transport) {
	case TRANSPORT_TCP:
		return "tcp";
	case TRANSPORT_UDP:
		return "udp";
	}
	return "";
}
