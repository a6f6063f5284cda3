#include "protocol/protocol.h"

#include <string.h>

#include "protocol/ntp_packet.h"
#include "protocol/ntp_tail.h"

#define WORKER_ROW(function, ...) { .reply = function, __VA_ARGS__ },
#define PROCESS_ROW(...)	  { __VA_ARGS__ },

const struct protocol protocol_table[PROTOCOL_COUNT] = { PROTOCOL_LIST(WORKER_ROW, PROCESS_ROW) };

const struct protocol *protocol_find(const char *word)
{
	for (size_t i = 0; i < PROTOCOL_COUNT; i++) {
		if (strcmp(protocol_table[i].word, word) == 0)
			return &protocol_table[i];
	}
	return NULL;
}

const char *protocol_transport_name(enum transport transport)
{
	return transport == TRANSPORT_TCP ? "tcp" : "udp";
}

#define DAYTIME_REPLY_MIN 16
#define TIME_REPLY_SIZE	  4

static bool is_ntp_reply(const uint8_t *bytes, size_t size)
{
	unsigned mode = bytes[0] & 7;

	return size == NTP_PACKET_SIZE && (mode == NTP_MODE_SERVER || mode == NTP_MODE_PASSIVE);
}

static bool is_time_reply(const uint8_t *bytes, time_t now)
{
	struct bytes_reader reader = bytes_reader_open(bytes, TIME_REPLY_SIZE);
	const struct timespec second = { .tv_sec = now };
	int32_t age = (int32_t)((uint32_t)(clock_to_ntp(&second) >> 32) - bytes_get_32(&reader));

	return age > -CLOCK_DAY && age < CLOCK_DAY;
}

bool protocol_is_reply(const void *bytes, size_t size, time_t now)
{
	if (size == TIME_REPLY_SIZE)
		return is_time_reply(bytes, now);
	if (size < DAYTIME_REPLY_MIN)
		return false;
	return ((const char *)bytes)[size - 1] == '\n' || is_ntp_reply(bytes, size);
}
