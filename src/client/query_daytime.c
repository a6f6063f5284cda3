#include "client/query.h"

#include <string.h>

#include "client/daytime_text.h"
#include "client/tcp.h"
#include "client/timespan.h"
#include "client/udp.h"

/* Time zones differ by multiples of 15 minutes, and by at most 26 hours. */
#define ZONE_STEP      (900 * CLOCK_SECOND)
#define ZONE_MAX       (26 * 3600 * CLOCK_SECOND + ZONE_TOLERANCE)
#define ZONE_TOLERANCE (5 * CLOCK_SECOND)

static bool is_line_end(char byte)
{
	return byte == '\r' || byte == '\n';
}

static bool is_printable(char byte)
{
	return byte >= ' ' && byte <= '~';
}

/* An offset near a multiple of 15 minutes is probably another zone. */
static bool may_be_other_zone(int64_t offset)
{
	int64_t magnitude = timespan_magnitude(offset);
	int64_t rest = magnitude % ZONE_STEP;

	return magnitude <= ZONE_MAX && magnitude >= ZONE_STEP - ZONE_TOLERANCE &&
	       (rest <= ZONE_TOLERANCE || rest >= ZONE_STEP - ZONE_TOLERANCE);
}

static void parse_offset(struct sample *sample)
{
	struct daytime_text parsed;

	switch (daytime_text_parse(sample->text, sample->local_time.tv_sec, &parsed)) {
	case DAYTIME_OK:
		sample_set_server_second(sample, parsed.seconds, parsed.extra_error);
		sample->zone_unknown = !parsed.has_zone && may_be_other_zone(sample->offset);
		break;
	case DAYTIME_NO_ZONE:
		sample->zone_unknown = true;
		break;
	case DAYTIME_NO_DATE:
		break;
	}
	if (sample->zone_unknown)
		sample->has_offset = false;
}

bool query_daytime_parse(struct sample *sample, const void *bytes, size_t size)
{
	const char *text = bytes;
	bool lines = false;

	if (size > 1 && text[size - 1] == '\0')
		size--; /* some servers send the end of a C string */
	for (; size > 0 && is_line_end(*text); size--)
		text++;
	while (size > 0 && is_line_end(text[size - 1]))
		size--;
	if (size == 0)
		return sample_fail(sample, "empty reply");
	if (size > SAMPLE_TEXT_MAX)
		return sample_fail_bytes(sample, "reply is too long", text, size);
	for (size_t i = 0; i < size; i++) {
		if (is_line_end(text[i]))
			lines = true;
		else if (!is_printable(text[i]))
			return sample_fail_bytes(sample, "reply is not text", text, size);
	}
	if (lines)
		return sample_fail_bytes(sample, "reply has several lines", text, size);
	memcpy(sample->text, text, size);
	sample->text[size] = '\0';
	sample->valid = true;
	parse_offset(sample);
	return true;
}

/* NIST servers send a line end first; it does not count. */
static bool holds_line(const struct tcp_reply *reply)
{
	size_t i = 0;

	while (i < reply->size && is_line_end(reply->bytes[i]))
		i++;
	while (i < reply->size && !is_line_end(reply->bytes[i]))
		i++;
	return i < reply->size;
}

void query_daytime(const struct query *query, struct sample *sample)
{
	struct tcp_reply reply;

	if (tcp_query(&reply, query, sample, holds_line))
		query_daytime_parse(sample, reply.bytes, reply.size);
}

static enum udp_verdict check_reply(const struct udp_reply *reply, struct sample *sample,
				    const char **reason)
{
	sample->local_time = reply->received;
	sample->delay = udp_delay(reply);
	*reason = "not a line of text";
	return query_daytime_parse(sample, reply->bytes, reply->size) ? UDP_ACCEPTED : UDP_UNUSABLE;
}

void query_daytime_udp(const struct query *query, struct sample *sample)
{
	static const struct udp_protocol protocol = { .check = check_reply };

	udp_query(query, sample, &protocol);
}
