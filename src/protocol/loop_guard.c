#include "protocol/ntp_packet.h"
#include "protocol/protocol.h"

#define DAYTIME_ANSWER_MIN 16
#define TIME_ANSWER_SIZE   4

static bool is_ntp_answer(const uint8_t *bytes, size_t size)
{
	unsigned mode = bytes[0] & 7;

	return size == NTP_PACKET_SIZE && (mode == NTP_MODE_SERVER || mode == NTP_MODE_PASSIVE);
}

static bool is_time_answer(const uint8_t *bytes, time_t now)
{
	struct bytes_reader reader = bytes_reader_open(bytes, TIME_ANSWER_SIZE);
	const struct timespec second = { .tv_sec = now };
	int32_t age = (int32_t)((uint32_t)(clock_to_ntp(&second) >> 32) - bytes_get_32(&reader));

	return age > -CLOCK_DAY && age < CLOCK_DAY;
}

bool protocol_is_reply(const void *bytes, size_t size, time_t now)
{
	if (size == TIME_ANSWER_SIZE)
		return is_time_answer(bytes, now);
	if (size < DAYTIME_ANSWER_MIN)
		return false;
	return ((const char *)bytes)[size - 1] == '\n' || is_ntp_answer(bytes, size);
}
