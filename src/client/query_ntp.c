#include "client/query.h"

#include <string.h>

#include "base/text.h"
#include "client/timespan.h"
#include "client/udp.h"
#include "protocol/ntp_client.h"

#define ROUNDING 2 /* nanoseconds lost by conversions */

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
		[NTP_CLIENT_KISS] = "kiss-o'-death",
		[NTP_CLIENT_LEAP] = "not synchronised (leap 3)",
		[NTP_CLIENT_STRATUM] = "not synchronised (stratum above 15)",
		[NTP_CLIENT_NO_TIME] = "missing timestamp",
		[NTP_CLIENT_BACKWARDS] = "transmit time before receive time",
	};

	return names[verdict];
}

/* The reference identifier of stratum 0 is a code of up to four letters (RFC 5905 section 7.4).
 * Returns the verdict. */
static enum udp_verdict fail_kiss(struct sample *sample, uint32_t code)
{
	bool denied = code == CLOCK_REFERENCE('D', 'E', 'N', 'Y') ||
		      code == CLOCK_REFERENCE('R', 'S', 'T', 'R');
	uint32_t bytes = htobe32(code);
	char shown[4 * sizeof(bytes) + sizeof("...")];
	size_t size = strnlen((const char *)&bytes, sizeof(bytes));

	if (size == 0)
		sample_fail(sample, "not synchronised (stratum 0)");
	else
		sample_fail(sample, "kiss-o'-death with code %s%s",
			    text_escape(shown, sizeof(shown), &bytes, size),
			    denied ? ": not queried again" : "");
	sample->rate_limited |= code == CLOCK_REFERENCE('R', 'A', 'T', 'E');
	return denied ? UDP_DENIED : UDP_UNUSABLE;
}

/* The whole delay may be on one of the two ways: the offset can be wrong by half of it, in addition
 * to the server's root distance. */
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

	if (verdict == NTP_CLIENT_OK || verdict == NTP_CLIENT_DISTANCE) {
		if ((clock_ntp_span)(exchange.received - exchange.sent) >= 0) {
			set_offset(sample, reply, &exchange);
			return UDP_ACCEPTED;
		}
		*reason = "local clock set back";
	} else {
		*reason = verdict_name(verdict);
		if (!ntp_client_is_reply(verdict))
			return UDP_REJECTED;
	}
	if (verdict == NTP_CLIENT_KISS)
		return fail_kiss(sample, sample->packet.reference_id);
	sample_fail(sample, "%s", *reason);
	return UDP_UNUSABLE;
}

const struct udp_protocol query_ntp_protocol = { write_request, check_reply };

void query_ntp(const struct query *query, struct sample *sample)
{
	udp_query(query, sample, &query_ntp_protocol);
}
