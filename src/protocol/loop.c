#include "protocol/protocol.h"

#define DAYTIME_ANSWER_MIN 16
#define TIME_ANSWER_SIZE   4

bool protocol_is_answer(const void *bytes, size_t size, time_t now)
{
	struct bytes_reader reader = bytes_reader_open(bytes, size);
	const struct timespec second = { .tv_sec = now };
	int32_t age;

	if (size >= DAYTIME_ANSWER_MIN)
		return ((const char *)bytes)[size - 1] == '\n';
	if (size != TIME_ANSWER_SIZE)
		return false;
	age = (int32_t)((uint32_t)(clock_to_ntp(&second) >> 32) - bytes_get_32(&reader));
	return age > -86400 && age < 86400;
}
