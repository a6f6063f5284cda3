/* RFC 868. */
#include "protocol/protocol.h"

/* Seconds since 1900-01-01 00:00:00 UTC, modulo 2^32, in four bytes, whatever the client sends. */
void time_reply(const struct protocol_request *request, struct bytes_writer *writer)
{
	const struct timespec now = { .tv_sec = request->now->seconds };

	bytes_put_32(writer, (uint32_t)(clock_to_ntp(&now) >> 32));
}
