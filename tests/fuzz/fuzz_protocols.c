/* Every protocol, from any bytes: a bounded reply is never longer than its request; NTP replies are
 * 48 bytes with the transmit time of the request as origin. The first bytes select the protocol,
 * the KoD and the port. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/protocol.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
	if (!holds)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct clock_second now = { .seconds = 1795374908, .valid = true };
	static const struct clock_state clock = { .stratum = 2 };
	struct bytes_reader reader = bytes_reader_open(data, size);
	const struct protocol *protocol = &protocol_table[bytes_get_8(&reader) % PROTOCOL_COUNT];
	uint8_t reply[PROTOCOL_REPLY_MAX];
	struct bytes_writer writer = bytes_writer_open(reply, sizeof(reply));
	struct protocol_request request = { .now = &now, .clock = &clock };
	size_t length;

	request.kod = (enum protocol_kod)(bytes_get_8(&reader) % 3);
	request.peer_port = bytes_get_16(&reader);
	request.size = bytes_left(&reader);
	request.bytes = bytes_skip(&reader, request.size);
	if (!request.bytes || !protocol->reply ||
	    (protocol->prepare && !protocol->prepare(&request)))
		return 0;
	protocol->reply(&request, &writer);
	length = bytes_written(&writer);
	protocol_is_reply(request.bytes, request.size);
	if (!protocol->bounded_reply || length == 0)
		return 0;
	check(length == 48 && length <= request.size);
	check(memcmp(reply + 24, (const uint8_t *)request.bytes + 40, 8) == 0);
	return 0;
}
