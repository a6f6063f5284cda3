/* RFC 5905, the server's part. This file reads the 48 bytes of a plain request and no more, so that
 * it compiles for the BPF target; ntp_tail.c reads what follows them. That no reply is longer than
 * its request is checked where it is sent (datagrams.c), by bounded_reply in the row. */
#include "protocol/ntp_packet.h"
#include "protocol/protocol.h"

/* The mode of the reply; NTP_MODE_NONE for requests that get none. */
static uint8_t reply_mode(const struct ntp_packet *request, uint16_t peer_port)
{
	if (request->version == 0 || request->version > NTP_VERSION)
		return NTP_MODE_NONE;
	switch (request->mode) {
	case NTP_MODE_CLIENT:
		return NTP_MODE_SERVER;
	case NTP_MODE_ACTIVE:
		return NTP_MODE_PASSIVE;
	case NTP_MODE_NONE: /* RFC 1305 appendix D.3: a client of version 1, known by its port */
		return request->version == 1 && peer_port != NTP_PORT ? NTP_MODE_SERVER :
									NTP_MODE_NONE;
	default:
		return NTP_MODE_NONE;
	}
}

static void set_clock(struct ntp_packet *reply, const struct clock_state *clock)
{
	reply->leap = clock->leap;
	reply->stratum = clock->stratum;
	reply->root_delay = clock->root_delay;
	reply->root_dispersion = clock->root_dispersion;
	reply->reference_id = clock->reference_id;
	reply->reference = clock->reference_time;
}

/* Section 7.4. */
static void set_kod(struct ntp_packet *reply, enum protocol_kod kod)
{
	reply->leap = CLOCK_LEAP_UNKNOWN;
	reply->reference_id = kod == PROTOCOL_KOD_DENY ? CLOCK_REFERENCE('D', 'E', 'N', 'Y') :
							 CLOCK_REFERENCE('R', 'A', 'T', 'E');
}

/* Replies with 48 bytes to modes 3 and 1 of versions 1 to 4, and to mode 0 of version 1 from a port
 * other than 123; silent to all else. A request with a KoD set gets that. */
void ntp_reply(const struct protocol_request *request, struct bytes_writer *writer)
{
	struct bytes_reader reader = bytes_reader_open(request->bytes, request->size);
	struct ntp_packet packet, reply = { .precision = request->precision };

	if (!ntp_packet_read(&packet, &reader))
		return;
	reply.mode = reply_mode(&packet, request->peer_port);
	if (reply.mode == NTP_MODE_NONE)
		return;
	if (request->kod == PROTOCOL_KOD_NONE)
		set_clock(&reply, request->clock);
	else
		set_kod(&reply, request->kod);
	reply.version = packet.version;
	reply.poll = packet.poll;
	reply.origin = packet.transmit;
	reply.receive = request->receive;
	reply.transmit = request->transmit;
	ntp_packet_write(&reply, writer);
}
