#include "client/ask_daytime.h"

#include <string.h>

#include "client/datagram.h"
#include "client/daytime_text.h"
#include "client/stream.h"

/* Time zones are apart by quarters of an hour, and by 26 hours at most. */
#define ZONE_STEP  (900 * CLOCK_SECOND)
#define ZONE_MAX   (26 * 3600 * CLOCK_SECOND + ZONE_SLACK)
#define ZONE_SLACK (5 * CLOCK_SECOND)

static bool is_line_end(char byte)
{
	return byte == '\r' || byte == '\n';
}

static bool is_printable(char byte)
{
	return byte >= ' ' && byte <= '~';
}

/* Whoever speaks of another zone seems to be off by some quarters of an hour, exactly: what cannot
 * be told from that is no offset. */
static bool may_be_zone(int64_t offset)
{
	int64_t off = offset < 0 ? -offset : offset;
	int64_t beside = off % ZONE_STEP;

	return off <= ZONE_MAX && off >= ZONE_STEP - ZONE_SLACK &&
	       (beside <= ZONE_SLACK || beside >= ZONE_STEP - ZONE_SLACK);
}

static void understand(struct ask_answer *answer)
{
	struct daytime_text told;

	if (!daytime_text_read(answer->text, &told))
		return;
	ask_tell_second(answer, told.seconds, told.slack);
	if (!told.zoned && may_be_zone(answer->offset))
		answer->timed = false;
}

bool ask_daytime_check(struct ask_answer *answer, const void *bytes, size_t size)
{
	const char *text = bytes;
	bool lines = false;

	for (; size > 0 && is_line_end(*text); size--)
		text++;
	while (size > 0 && is_line_end(text[size - 1]))
		size--;
	if (size == 0)
		return ask_fail(answer, "empty answer");
	if (size > ASK_TEXT_LIMIT)
		return ask_fail_with(answer, "answer is too long", text, size);
	for (size_t i = 0; i < size; i++) {
		if (is_line_end(text[i]))
			lines = true;
		else if (!is_printable(text[i]))
			return ask_fail_with(answer, "answer is not text", text, size);
	}
	if (lines)
		return ask_fail_with(answer, "answer of several lines", text, size);
	memcpy(answer->text, text, size);
	answer->text[size] = '\0';
	answer->valid = true;
	understand(answer);
	return true;
}

/* A line end that nothing precedes does not count: NIST's servers begin with one. */
static bool holds_line(const struct stream *stream)
{
	size_t i = 0;

	while (i < stream->size && is_line_end(stream->bytes[i]))
		i++;
	while (i < stream->size && !is_line_end(stream->bytes[i]))
		i++;
	return i < stream->size;
}

void ask_daytime(const struct ask_question *question, struct ask_answer *answer)
{
	struct stream stream;

	if (stream_ask(&stream, question, answer, holds_line))
		ask_daytime_check(answer, stream.bytes, stream.size);
}

static enum datagram_verdict judge(const struct datagram *datagram, struct ask_answer *answer,
				   const char **reason)
{
	answer->time = datagram->received;
	answer->delay = datagram_delay(datagram);
	*reason = "no line of text";
	return ask_daytime_check(answer, datagram->bytes, datagram->size) ? DATAGRAM_SETTLED :
									    DATAGRAM_DOUBTED;
}

void ask_daytime_udp(const struct ask_question *question, struct ask_answer *answer)
{
	static const struct datagram_protocol protocol = { .judge = judge };

	datagram_ask(question, answer, &protocol);
}
