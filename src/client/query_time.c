#include "client/query.h"

#include "base/bytes.h"
#include "client/tcp.h"
#include "client/udp.h"

#define TIME_SIZE      4
#define TIME_SIZE_LONG 8 /* inetutils-inetd sends a C long */
#define NTP_OF_1970    UINT32_C(2208988800)

bool query_time_parse(struct sample *sample, const void *bytes, size_t size)
{
	struct bytes_reader reader = bytes_reader_open(bytes, size);
	uint32_t seconds = bytes_get_32(&reader);
	int64_t local = sample->local_time.tv_sec;

	if (size == 0)
		return sample_fail(sample, "empty reply");
	if (size == TIME_SIZE_LONG)
		return sample_fail_bytes(sample,
					 "reply has 8 bytes instead of 4, as from inetutils-inetd",
					 bytes, size);
	if (size != TIME_SIZE)
		return sample_fail_bytes(sample, "reply is not 4 bytes", bytes, size);
	sample->valid = true;
	sample_set_server_second(sample, local + (int32_t)(seconds - NTP_OF_1970 - (uint32_t)local),
				 0);
	return true;
}

static bool is_complete(const struct tcp_reply *reply)
{
	return reply->size >= TIME_SIZE;
}

void query_time(const struct query *query, struct sample *sample)
{
	struct tcp_reply reply;

	if (tcp_query(&reply, query, sample, is_complete))
		query_time_parse(sample, reply.bytes, reply.size);
}

static enum udp_verdict check_reply(const struct udp_reply *reply, struct sample *sample,
				    const char **reason)
{
	sample->local_time = reply->received;
	sample->delay = udp_delay(reply);
	*reason = "not 4 bytes";
	return query_time_parse(sample, reply->bytes, reply->size) ? UDP_ACCEPTED : UDP_UNUSABLE;
}

void query_time_udp(const struct query *query, struct sample *sample)
{
	static const struct udp_protocol protocol = { .check = check_reply };

	udp_query(query, sample, &protocol);
}
