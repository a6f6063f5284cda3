#include "protocol/ntp_client.h"

static enum ntp_client_verdict check(const struct ntp_packet *packet,
				     const struct ntp_client_exchange *exchange)
{
	if (exchange->nonce == 0 || packet->origin != exchange->nonce)
		return NTP_CLIENT_ORIGIN;
	if (packet->mode != NTP_MODE_SERVER)
		return NTP_CLIENT_MODE;
	if (packet->version != 3 && packet->version != 4)
		return NTP_CLIENT_VERSION;
	if (packet->stratum == 0)
		return NTP_CLIENT_KISS;
	if (packet->leap == CLOCK_LEAP_UNKNOWN)
		return NTP_CLIENT_LEAP;
	if (packet->stratum >= NTP_STRATUM_LIMIT)
		return NTP_CLIENT_STRATUM;
	if (packet->receive == 0 || packet->transmit == 0)
		return NTP_CLIENT_NO_TIME;
	if ((clock_ntp_span)(packet->transmit - packet->receive) < 0)
		return NTP_CLIENT_BACKWARDS;
	if (ntp_client_root_distance(packet) >= CLOCK_DISTANCE_MAX)
		return NTP_CLIENT_DISTANCE;
	return NTP_CLIENT_OK;
}

enum ntp_client_verdict ntp_client_check(struct ntp_packet *packet,
					 const struct ntp_client_exchange *exchange,
					 const void *bytes, size_t size)
{
	struct bytes_reader reader = bytes_reader_open(bytes, size);

	return ntp_packet_read(packet, &reader) ? check(packet, exchange) : NTP_CLIENT_SHORT;
}

uint64_t ntp_client_root_distance(const struct ntp_packet *packet)
{
	return (uint64_t)packet->root_delay / 2 + packet->root_dispersion;
}

struct ntp_client_measurement ntp_client_measure(const struct ntp_client_exchange *exchange,
						 const struct ntp_packet *packet)
{
	clock_ntp_span there = (clock_ntp_span)(packet->receive - exchange->sent);
	clock_ntp_span back = (clock_ntp_span)(packet->transmit - exchange->received);
	clock_ntp_span elapsed = (clock_ntp_span)(exchange->received - exchange->sent);
	clock_ntp_span delay = elapsed - (clock_ntp_span)(packet->transmit - packet->receive);

	return (struct ntp_client_measurement){
		.offset = there / 2 + back / 2,
		.delay = delay < 0 ? 0 : delay, /* clocks are coarse */
	};
}

const char *ntp_client_describe(enum ntp_client_verdict verdict)
{
	static const char *const texts[] = {
		[NTP_CLIENT_OK] = "is synchronised",
		[NTP_CLIENT_SHORT] = "sent a reply that is too short",
		[NTP_CLIENT_ORIGIN] = "sent a reply with the wrong origin",
		[NTP_CLIENT_MODE] = "sent a reply that is not of mode 4",
		[NTP_CLIENT_VERSION] = "sent a reply that is not of version 3 or 4",
		[NTP_CLIENT_KISS] = "sent a kiss-o'-death",
		[NTP_CLIENT_LEAP] = "says that it is not synchronised",
		[NTP_CLIENT_STRATUM] = "has stratum 16 or more",
		[NTP_CLIENT_NO_TIME] = "sent a reply without timestamps",
		[NTP_CLIENT_BACKWARDS] = "sent a transmit time before its receive time",
		[NTP_CLIENT_DISTANCE] = "has a root distance of a second or more",
		[NTP_CLIENT_OFFSET] = "differs from this clock by more than 128 ms",
		[NTP_CLIENT_STRATUM_LAST] = "has stratum 15, and 16 is the limit",
	};

	return texts[verdict];
}
