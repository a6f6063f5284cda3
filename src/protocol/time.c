#include "protocol/protocol.h"

void time_reply(const struct protocol_request *request, struct bytes_writer *reply)
{
	const struct timespec now = { .tv_sec = request->now->seconds };

	bytes_put_32(reply, (uint32_t)(clock_to_ntp(&now) >> 32));
}
