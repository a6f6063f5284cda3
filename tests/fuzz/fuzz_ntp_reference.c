/* Replies of a followed NTP server from any bytes: the clock state is valid, unsynchronised or
 * unchanged. The first eight bytes are the nonce of the request, so that some replies match it. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "protocol/ntp_reference.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
	if (!holds)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes_reader reader = bytes_reader_open(data, size);
	struct ntp_reference_context context = {
		.exchange = { .sent = 0xee00000000000000, .received = 0xee00000000100000 },
	};
	struct clock_state state;
	enum ntp_client_verdict verdict;
	uint32_t kod = 0;

	context.exchange.nonce = bytes_get_64(&reader);
	context.same_host = (context.exchange.nonce & 1) != 0;
	memset(&state, 0xa5, sizeof(state));
	size = bytes_left(&reader);
	verdict = ntp_reference_from_reply(&context, bytes_skip(&reader, size), size, &state, &kod);
	check(ntp_client_describe(verdict) != NULL);
	if (verdict == NTP_CLIENT_OK)
		check(state.leap < CLOCK_LEAP_UNKNOWN && state.stratum >= 1 && state.stratum <= 15);
	else if (ntp_client_is_reply(verdict))
		check(state.leap == CLOCK_LEAP_UNKNOWN && state.stratum == 0);
	else
		check(state.leap == 0xa5);
	return 0;
}
