#include "client/query.h"

#include <string.h>

#include "base/text.h"
#include "client/timespan.h"
#include "client/udp.h"
#include "protocol/ntp_client.h"

#define ROUNDING 2 /* nanoseconds that conversions may lose */

static void write_request(struct bytes_writer *request, uint64_t nonce)
{
	const struct ntp_packet packet = {
		.version = NTP_VERSION,
		.mode = NTP_MODE_CLIENT,
		.transmit = nonce,
	};

	ntp_packet_write(&packet, request);
}

static const char *verdict_name(enum ntp_client_verdict verdict)
{
	static const char *const names[] = {
		[NTP_CLIENT_SHORT] = "too short",
		[NTP_CLIENT_ORIGIN] = "wrong origin",
		[NTP_CLIENT_MODE] = "wrong mode",
		[NTP_CLIENT_VERSION] = "wrong version",
		[NTP_CLIENT_KISS] = "kiss of death",
		[NTP_CLIENT_LEAP] = "leap 3",
		[NTP_CLIENT_STRATUM] = "stratum 16 or more",
		[NTP_CLIENT_NO_TIME] = "no time",
		[NTP_CLIENT_BACKWARDS] = "times that run backwards",
	};

	return names[verdict];
}

/* The reference identifier of stratum 0 is four letters (RFC 5905 section 7.4). */
static void fail_kiss(struct sample *sample, uint32_t code)
{
	uint32_t bytes = htobe32(code);
	char shown[4 * sizeof(bytes) + sizeof("...")];
	size_t size = strnlen((const char *)&bytes, sizeof(bytes));

	if (size == 0)
		sample_fail(sample, "stratum 0: it is not synchronised");
	else
		sample_fail(sample, "stratum 0, kiss code %s: it has no time to tell",
			    text_escape(shown, sizeof(shown), &bytes, size));
}

static enum udp_verdict fail_unusable(struct sample *sample, enum ntp_client_verdict verdict)
{
	if (verdict == NTP_CLIENT_KISS)
		fail_kiss(sample, sample->packet.reference_id);
	else
		sample_fail(sample, "%s: it %s", verdict_name(verdict),
			    ntp_client_describe(verdict));
	return UDP_UNUSABLE;
}

/* Half of the way there and back can be all one way: so much the offset can be off, beside what the
 * server itself may be. */
static void set_offset(struct sample *sample, const struct udp_reply *reply,
		       const struct ntp_client_exchange *exchange)
{
	struct ntp_client_measurement measured = ntp_client_measure(exchange, &sample->packet);
	uint64_t distance = ntp_client_root_distance(&sample->packet);

	sample->valid = true;
	sample->has_offset = true;
	sample->is_ntp = true;
	sample->delay = clock_span_from_ntp(measured.delay);
	sample->offset = clock_span_from_ntp(measured.offset);
	sample->bound = sample->delay / 2 + clock_span_from_ntp((clock_ntp_span)(distance << 16)) +
			ROUNDING;
	sample->server_time = timespan_add(reply->received, sample->offset);
}

static enum udp_verdict check_reply(const struct udp_reply *reply, struct sample *sample,
				    const char **reason)
{
	struct ntp_client_exchange exchange = {
		.nonce = reply->nonce,
		.sent = clock_to_ntp(&reply->sent),
		.received = clock_to_ntp(&reply->received),
	};
	enum ntp_client_verdict verdict =
		ntp_client_check(&sample->packet, &exchange, reply->bytes, reply->size);

	if (verdict != NTP_CLIENT_OK && verdict != NTP_CLIENT_DISTANCE) {
		*reason = verdict_name(verdict);
		return ntp_client_is_reply(verdict) ? fail_unusable(sample, verdict) : UDP_REJECTED;
	}
	if ((clock_ntp_span)(exchange.received - exchange.sent) < 0) {
		*reason = "clock set meanwhile";
		sample_fail(sample, "the clock of this machine was set back meanwhile");
		return UDP_UNUSABLE;
	}
	set_offset(sample, reply, &exchange);
	return UDP_ACCEPTED;
}

const struct udp_protocol query_ntp_protocol = { write_request, check_reply };

void query_ntp(const struct query *query, struct sample *sample)
{
	udp_query(query, sample, &query_ntp_protocol);
}
