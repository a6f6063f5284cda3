#include "client/ask_time.h"

#include "base/bytes.h"
#include "client/datagram.h"
#include "client/stream.h"

#define TIME_SIZE      4
#define TIME_SIZE_LONG 8 /* as inetutils-inetd has it where a C long has so many bytes */
#define NTP_OF_1970    UINT32_C(2208988800)

bool ask_time_check(struct ask_answer *answer, const void *bytes, size_t size)
{
	struct bytes_reader reader = bytes_reader_open(bytes, size);
	uint32_t told = bytes_get_32(&reader);
	int64_t here = answer->time.tv_sec;

	if (size == 0)
		return ask_fail(answer, "empty answer");
	if (size == TIME_SIZE_LONG)
		return ask_fail_with(answer,
				     "answer of 8 bytes instead of 4, as of inetutils-inetd", bytes,
				     size);
	if (size != TIME_SIZE)
		return ask_fail_with(answer, "answer is not of 4 bytes", bytes, size);
	answer->valid = true;
	ask_tell_second(answer, here + (int32_t)(told - NTP_OF_1970 - (uint32_t)here), 0);
	return true;
}

static bool is_whole(const struct stream *stream)
{
	return stream->size >= TIME_SIZE;
}

void ask_time(const struct ask_question *question, struct ask_answer *answer)
{
	struct stream stream;

	if (stream_ask(&stream, question, answer, is_whole))
		ask_time_check(answer, stream.bytes, stream.size);
}

static enum datagram_verdict judge(const struct datagram *datagram, struct ask_answer *answer,
				   const char **reason)
{
	answer->time = datagram->received;
	answer->delay = datagram_delay(datagram);
	*reason = "not 4 bytes";
	return ask_time_check(answer, datagram->bytes, datagram->size) ? DATAGRAM_SETTLED :
									 DATAGRAM_DOUBTED;
}

void ask_time_udp(const struct ask_question *question, struct ask_answer *answer)
{
	static const struct datagram_protocol protocol = { .judge = judge };

	datagram_ask(question, answer, &protocol);
}
