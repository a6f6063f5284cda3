#include "client/query_time.h"

#include "base/bytes.h"
#include "client/datagram.h"
#include "client/stream.h"

#define TIME_SIZE      4
#define TIME_SIZE_LONG 8 /* as inetutils-inetd has it where a C long has so many bytes */
#define NTP_OF_1970    UINT32_C(2208988800)

bool query_time_parse(struct sample *sample, const void *bytes, size_t size)
{
	struct bytes_reader reader = bytes_reader_open(bytes, size);
	uint32_t seconds = bytes_get_32(&reader);
	int64_t here = sample->local_time.tv_sec;

	if (size == 0)
		return sample_fail(sample, "empty answer");
	if (size == TIME_SIZE_LONG)
		return sample_fail_bytes(sample,
					 "answer of 8 bytes instead of 4, as of inetutils-inetd",
					 bytes, size);
	if (size != TIME_SIZE)
		return sample_fail_bytes(sample, "answer is not of 4 bytes", bytes, size);
	sample->valid = true;
	sample_set_server_second(sample, here + (int32_t)(seconds - NTP_OF_1970 - (uint32_t)here),
				 0);
	return true;
}

static bool is_whole(const struct stream *stream)
{
	return stream->size >= TIME_SIZE;
}

void query_time(const struct query *query, struct sample *sample)
{
	struct stream stream;

	if (stream_ask(&stream, query, sample, is_whole))
		query_time_parse(sample, stream.bytes, stream.size);
}

static enum datagram_verdict judge(const struct datagram *datagram, struct sample *sample,
				   const char **reason)
{
	sample->local_time = datagram->received;
	sample->delay = datagram_delay(datagram);
	*reason = "not 4 bytes";
	return query_time_parse(sample, datagram->bytes, datagram->size) ? DATAGRAM_SETTLED :
									   DATAGRAM_DOUBTED;
}

void query_time_udp(const struct query *query, struct sample *sample)
{
	static const struct datagram_protocol protocol = { .judge = judge };

	datagram_ask(query, sample, &protocol);
}
