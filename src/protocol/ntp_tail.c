#include "protocol/ntp_tail.h"

#include "protocol/ntp_packet.h"

#define EXTENSION_MIN	  16 /* RFC 7822 section 7.5.1.2 */
#define AUTHENTICATOR_MAX 24 /* key identifier and digest; a shorter tail is no extension field */

static void skip_extension(struct bytes_reader *tail)
{
	uint16_t length;

	bytes_get_16(tail); /* the field type */
	length = bytes_get_16(tail);
	if (length < EXTENSION_MIN || length % 4 != 0)
		tail->failed = true;
	else
		bytes_skip(tail, length - 4U);
}

bool ntp_tail_check(const struct protocol_request *request)
{
	struct bytes_reader tail = bytes_reader_open(request->bytes, request->size);
	struct ntp_packet packet;

	if (request->size == NTP_PACKET_SIZE)
		return true;
	if (!ntp_packet_read(&packet, &tail) || packet.version < 4)
		return false;
	while (bytes_left(&tail) > AUTHENTICATOR_MAX)
		skip_extension(&tail);
	return !tail.failed && bytes_left(&tail) == 0;
}
