#include "client/ask_ntp.h"

#include <string.h>

#include "base/text.h"
#include "protocol/ntp_client.h"

#define ROUNDING 2 /* nanoseconds that conversions may lose */

static void compose(struct bytes_writer *request, uint64_t nonce)
{
	const struct ntp_packet packet = {
		.version = NTP_VERSION,
		.mode = NTP_MODE_CLIENT,
		.transmit = nonce,
	};

	ntp_packet_write(&packet, request);
}

static const char *name_verdict(enum ntp_client_verdict verdict)
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
static void fail_kiss(struct ask_answer *answer, uint32_t code)
{
	uint32_t bytes = htobe32(code);
	char shown[4 * sizeof(bytes) + sizeof("...")];
	size_t size = strnlen((const char *)&bytes, sizeof(bytes));

	if (size == 0)
		ask_fail(answer, "stratum 0: it is not synchronised");
	else
		ask_fail(answer, "stratum 0, kiss code %s: it has no time to tell",
			 text_escape(shown, sizeof(shown), &bytes, size));
}

static enum datagram_verdict doubt(struct ask_answer *answer, enum ntp_client_verdict verdict)
{
	if (verdict == NTP_CLIENT_KISS)
		fail_kiss(answer, answer->packet.reference_id);
	else
		ask_fail(answer, "%s: it %s", name_verdict(verdict), ntp_client_describe(verdict));
	return DATAGRAM_DOUBTED;
}

/* Half of the way there and back can be all one way: so much the offset can be off, beside what the
 * server itself may be. */
static void tell(struct ask_answer *answer, const struct datagram *datagram,
		 const struct ntp_client_exchange *exchange)
{
	struct ntp_client_measurement measured = ntp_client_measure(exchange, &answer->packet);
	uint64_t distance = ntp_client_root_distance(&answer->packet);

	answer->valid = true;
	answer->timed = true;
	answer->is_ntp = true;
	answer->delay = clock_span_from_ntp(measured.delay);
	answer->offset = clock_span_from_ntp(measured.offset);
	answer->bound = answer->delay / 2 + clock_span_from_ntp((clock_ntp_span)(distance << 16)) +
			ROUNDING;
	answer->told = ask_time_plus(datagram->received, answer->offset);
}

static enum datagram_verdict judge(const struct datagram *datagram, struct ask_answer *answer,
				   const char **reason)
{
	struct ntp_client_exchange exchange = {
		.nonce = datagram->nonce,
		.sent = clock_to_ntp(&datagram->sent),
		.received = clock_to_ntp(&datagram->received),
	};
	enum ntp_client_verdict verdict =
		ntp_client_check(&answer->packet, &exchange, datagram->bytes, datagram->size);

	if (verdict != NTP_CLIENT_OK && verdict != NTP_CLIENT_DISTANCE) {
		*reason = name_verdict(verdict);
		return ntp_client_is_reply(verdict) ? doubt(answer, verdict) : DATAGRAM_REFUSED;
	}
	if ((clock_ntp_span)(exchange.received - exchange.sent) < 0) {
		*reason = "clock set meanwhile";
		ask_fail(answer, "the clock of this machine was set back meanwhile");
		return DATAGRAM_DOUBTED;
	}
	tell(answer, datagram, &exchange);
	return DATAGRAM_SETTLED;
}

const struct datagram_protocol ask_ntp_protocol = { compose, judge };

void ask_ntp(const struct ask_question *question, struct ask_answer *answer)
{
	datagram_ask(question, answer, &ask_ntp_protocol);
}
