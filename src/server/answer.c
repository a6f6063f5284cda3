#include "server/answer.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include "base/bytes.h"
#include "protocol/ntp_packet.h"

/* RFC 5905 section 11.2.2: MAXDIST, in units of the short format. */
#define DISTANCE_MAX CLOCK_SHORT_SECOND

/* The four times of an exchange (RFC 5905 section 8) worked into what they tell. */
struct measurement {
	uint64_t off; /* how far the clocks are apart, without a sign */
	uint64_t delay;
};

/* The times are a server's that is not to be trusted yet: whatever they are, nothing here
 * overflows. elapsed, which is our own clock's, is not negative. */
static void measure(struct measurement *measurement, const struct answer_context *context,
		    const struct ntp_packet *packet)
{
	clock_ntp_span there = (clock_ntp_span)(packet->receive - context->sent);
	clock_ntp_span back = (clock_ntp_span)(packet->transmit - context->received);
	clock_ntp_span offset = there / 2 + back / 2;
	clock_ntp_span elapsed = (clock_ntp_span)(context->received - context->sent);
	clock_ntp_span delay = elapsed - (clock_ntp_span)(packet->transmit - packet->receive);

	measurement->off = offset < 0 ? -(uint64_t)offset : (uint64_t)offset;
	measurement->delay = delay < 0 ? 0 : (uint64_t)delay; /* clocks are coarse */
}

static enum answer_verdict check_answer(const struct answer_context *context,
					const struct ntp_packet *packet)
{
	if (context->nonce == 0 || packet->origin != context->nonce)
		return ANSWER_ORIGIN;
	if (packet->mode != NTP_MODE_SERVER)
		return ANSWER_MODE;
	if (packet->version != 3 && packet->version != 4)
		return ANSWER_VERSION;
	if (packet->stratum == 0)
		return ANSWER_KISS;
	if (packet->leap == CLOCK_LEAP_UNKNOWN)
		return ANSWER_LEAP;
	if (packet->stratum >= NTP_STRATUM_LIMIT)
		return ANSWER_STRATUM;
	if (packet->receive == 0 || packet->transmit == 0)
		return ANSWER_NO_TIME;
	if ((clock_ntp_span)(packet->transmit - packet->receive) < 0)
		return ANSWER_BACKWARDS;
	if ((uint64_t)packet->root_delay / 2 + packet->root_dispersion >= DISTANCE_MAX)
		return ANSWER_DISTANCE;
	return ANSWER_GOOD;
}

/* Fills measurement in unless our own clock went back between question and answer. */
static enum answer_verdict check_offset(struct measurement *measurement,
					const struct answer_context *context,
					const struct ntp_packet *packet)
{
	uint64_t most = (uint64_t)clock_span_to_ntp(ANSWER_OFFSET_MAX);

	if ((clock_ntp_span)(context->received - context->sent) < 0)
		return ANSWER_OFFSET;
	measure(measurement, context, packet);
	return measurement->off > most + measurement->delay / 2 ? ANSWER_OFFSET : ANSWER_GOOD;
}

static void take_over(struct clock_state *state, const struct answer_context *context,
		      const struct ntp_packet *packet, const struct measurement *measurement)
{
	clock_ntp_short delay = clock_short_from_span((clock_ntp_span)measurement->delay);
	clock_ntp_short error =
		clock_short_from_span((clock_ntp_span)(measurement->off + measurement->delay / 2));

	*state = (struct clock_state){
		.leap = packet->leap,
		.stratum = packet->stratum,
		.reference_id = packet->reference_id,
		.reference_time = packet->reference,
		.root_delay = packet->root_delay,
		.root_dispersion = clock_short_add(packet->root_dispersion, error),
		.drift_ppm = CLOCK_DRIFT_PPM,
		.measured = context->monotonic,
	};
	if (context->same_host)
		return;
	state->stratum++;
	state->reference_id = context->reference_id;
	state->reference_time = context->received;
	state->root_delay = clock_short_add(packet->root_delay, delay);
}

enum answer_verdict answer_judge(const struct answer_context *context, const void *bytes,
				 size_t size, struct clock_state *state, uint32_t *kiss)
{
	struct bytes_reader reader = bytes_reader_open(bytes, size);
	struct measurement measurement;
	struct ntp_packet packet;
	enum answer_verdict verdict;

	if (!ntp_packet_read(&packet, &reader))
		return ANSWER_SHORT;
	verdict = check_answer(context, &packet);
	if (!answer_is_to_question(verdict))
		return verdict;
	if (verdict == ANSWER_KISS)
		*kiss = packet.reference_id;
	if (verdict == ANSWER_GOOD)
		verdict = check_offset(&measurement, context, &packet);
	if (verdict == ANSWER_GOOD && !context->same_host &&
	    packet.stratum + 1 == NTP_STRATUM_LIMIT)
		verdict = ANSWER_DEEP;
	if (verdict == ANSWER_GOOD)
		take_over(state, context, &packet, &measurement);
	else
		clock_state_unsynchronised(state, verdict == ANSWER_OFFSET ? CLOCK_REFERENCE_STEP :
									     CLOCK_REFERENCE_INIT);
	return verdict;
}

const char *answer_describe(enum answer_verdict verdict)
{
	static const char *const texts[] = {
		[ANSWER_GOOD] = "tells the time",
		[ANSWER_SHORT] = "sends less than an answer",
		[ANSWER_ORIGIN] = "answers another question",
		[ANSWER_MODE] = "does not answer as a server",
		[ANSWER_VERSION] = "answers in another version",
		[ANSWER_KISS] = "has no time to tell",
		[ANSWER_LEAP] = "says that it is not synchronised",
		[ANSWER_STRATUM] = "has the stratum of one that is not synchronised",
		[ANSWER_NO_TIME] = "answers without a time",
		[ANSWER_BACKWARDS] = "answers before it is asked, by its times",
		[ANSWER_DISTANCE] = "says that it may be off by a second",
		[ANSWER_OFFSET] = "tells another time than this clock",
		[ANSWER_DEEP] = "has the last stratum there is",
	};

	return texts[verdict];
}

uint32_t answer_reference_id(const struct address *server)
{
	const struct in6_addr *ip6 = &server->ip6.sin6_addr;
	uint32_t hash = 2166136261;

	if (server->any.sa_family == AF_INET)
		return ntohl(server->ip4.sin_addr.s_addr);
	if (IN6_IS_ADDR_V4MAPPED(ip6))
		return (uint32_t)ip6->s6_addr[12] << 24 | (uint32_t)ip6->s6_addr[13] << 16 |
		       (uint32_t)ip6->s6_addr[14] << 8 | ip6->s6_addr[15];
	for (size_t i = 0; i < sizeof(ip6->s6_addr); i++)
		hash = (hash ^ ip6->s6_addr[i]) * 16777619;
	return hash;
}
