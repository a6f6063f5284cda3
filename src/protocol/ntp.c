#include "protocol/ntp_packet.h"
#include "protocol/protocol.h"

#define EXTENSION_MIN	  16 /* RFC 7822 section 7.5.1.2 */
#define AUTHENTICATOR_MAX 24 /* a key's number and a digest; below this a tail is no extension */

/* Whether what follows the 48 bytes is there for something and can be passed over: extension fields
 * that fill it to the last byte. An authenticator cannot be passed over: a client that sends one
 * believes no reply without. */
static bool is_tail_passable(struct bytes_reader *tail, uint8_t version)
{
	if (bytes_left(tail) > 0 && version < 4)
		return false;
	while (bytes_left(tail) > AUTHENTICATOR_MAX) {
		uint16_t length;

		bytes_get_16(tail); /* the field's type: there is none yet that means something */
		length = bytes_get_16(tail);
		if (length < EXTENSION_MIN || length % 4 != 0)
			return false;
		bytes_skip(tail, length - 4U);
		if (tail->failed)
			return false;
	}
	return bytes_left(tail) == 0;
}

/* The mode of the answer; NTP_MODE_NONE: there is to be none. */
static uint8_t answering_mode(const struct ntp_packet *request, uint16_t peer_port)
{
	if (request->version == 0 || request->version > NTP_VERSION)
		return NTP_MODE_NONE;
	switch (request->mode) {
	case NTP_MODE_CLIENT:
		return NTP_MODE_SERVER;
	case NTP_MODE_ACTIVE:
		return NTP_MODE_PASSIVE;
	case NTP_MODE_NONE: /* RFC 1305 appendix D.3: the client of version 1, told by its port */
		return request->version == 1 && peer_port != NTP_PORT ? NTP_MODE_SERVER :
									NTP_MODE_NONE;
	default:
		return NTP_MODE_NONE;
	}
}

static void tell_clock(struct ntp_packet *reply, const struct clock_state *clock)
{
	reply->leap = clock->leap;
	reply->stratum = clock->stratum;
	reply->root_delay = clock->root_delay;
	reply->root_dispersion = clock->root_dispersion;
	reply->reference_id = clock->reference_id;
	reply->reference = clock->reference_time;
}

/* A kiss of death (RFC 5905 section 7.4). */
static void tell_kiss(struct ntp_packet *reply, enum verdict verdict)
{
	reply->leap = CLOCK_LEAP_UNKNOWN;
	reply->reference_id = verdict == VERDICT_DENIED ? CLOCK_REFERENCE('D', 'E', 'N', 'Y') :
							  CLOCK_REFERENCE('R', 'A', 'T', 'E');
}

void ntp_reply(const struct protocol_request *request, struct bytes_writer *reply)
{
	struct bytes_reader reader = bytes_reader_open(request->bytes, request->size);
	struct ntp_packet asked, answer = { .precision = request->precision };

	if (!ntp_packet_read(&asked, &reader))
		return;
	answer.mode = answering_mode(&asked, request->peer_port);
	if (answer.mode == NTP_MODE_NONE || !is_tail_passable(&reader, asked.version))
		return;
	if (request->verdict == VERDICT_ADMIT)
		tell_clock(&answer, request->clock);
	else
		tell_kiss(&answer, request->verdict);
	answer.version = asked.version;
	answer.poll = asked.poll;
	answer.origin = asked.transmit;
	answer.receive = request->receive;
	answer.transmit = request->transmit;
	ntp_packet_write(&answer, reply);
}
