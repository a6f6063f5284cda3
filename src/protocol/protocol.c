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
#define TIME_REPLY_SIZE	  4 /* RFC 868 */
#define TIME_REPLY_SIZE_8 8 /* of inetutils-inetd, whose time_t has 64 bits */

static bool is_digit(uint8_t byte)
{
	return byte >= '0' && byte <= '9';
}

static bool is_ntp_reply(const uint8_t *bytes, size_t size)
{
	unsigned mode = bytes[0] & 7;

	return size == NTP_PACKET_SIZE && (mode == NTP_MODE_SERVER || mode == NTP_MODE_PASSIVE);
}

/* "19:15", as in every form of Daytime. */
static bool has_time_of_day(const uint8_t *bytes, size_t size)
{
	for (size_t i = 1; i + 2 < size; i++) {
		if (bytes[i] == ':' && is_digit(bytes[i - 1]) && is_digit(bytes[i + 1]) &&
		    is_digit(bytes[i + 2]))
			return true;
	}
	return false;
}

bool protocol_is_reply(const void *bytes, size_t size)
{
	const uint8_t *text = bytes;

	if (size == TIME_REPLY_SIZE || size == TIME_REPLY_SIZE_8)
		return true;
	if (size < DAYTIME_REPLY_MIN)
		return false;
	return text[size - 1] == '\n' || has_time_of_day(text, size) || is_ntp_reply(text, size);
}
