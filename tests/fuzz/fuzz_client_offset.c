/* Time and NTP replies from any bytes: an offset has a bound that is not negative, an error is
 * printable. The first byte selects the protocol, the next eight are the nonce. */
#include <stdint.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "client/format.h"
#include "client/query.h"
#include "client/udp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
	if (!holds)
		abort();
}

static void check_printable(const char *text)
{
	check(text && *text != '\0');
	for (; *text != '\0'; text++)
		check(*text >= ' ' && *text <= '~');
}

static void check_offset(const struct sample *sample)
{
	const struct format_style style = { .utf8 = false };
	char text[FORMAT_SIZE];

	check(sample->valid && sample->has_offset && sample->delay >= 0 && sample->bound >= 0);
	check_printable(format_offset(text, sample->offset, sample->bound, &style));
	check_printable(format_seconds(text, sample->offset, sample->bound));
	check_printable(format_bound(text, sample->bound, sample->offset, &style));
}

static void check_ntp(struct bytes_reader *reader, struct sample *sample)
{
	const char *reason = NULL;
	struct udp_reply reply = {
		.nonce = bytes_get_64(reader),
		.sent = { 1795374908, 0 },
		.received = { 1795374908, 40000000 },
	};

	reply.size = bytes_left(reader);
	reply.bytes = bytes_skip(reader, reply.size);
	switch (query_ntp_protocol.check(&reply, sample, &reason)) {
	case UDP_ACCEPTED:
		check_offset(sample);
		break;
	case UDP_UNUSABLE:
	case UDP_DENIED:
		check_printable(sample->error);
		check_printable(reason);
		break;
	case UDP_REJECTED:
		check_printable(reason);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes_reader reader = bytes_reader_open(data, size);
	struct sample sample = { .local_time = { 1795374908, 0 }, .delay = 40000000 };

	if ((bytes_get_8(&reader) & 1) != 0) {
		check_ntp(&reader, &sample);
		return 0;
	}
	size = bytes_left(&reader);
	if (query_time_parse(&sample, bytes_skip(&reader, size), size))
		check_offset(&sample);
	else
		check_printable(sample.error);
	return 0;
}
