#include "protocol/ntp_client.h"

/* RFC 5905 section 11.2.2: MAXDIST. */
#define DISTANCE_MAX CLOCK_SHORT_SECOND

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
	if (ntp_client_root_distance(packet) >= DISTANCE_MAX)
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
		[NTP_CLIENT_OK] = "tells the time",
		[NTP_CLIENT_SHORT] = "sends less than an answer",
		[NTP_CLIENT_ORIGIN] = "answers another question",
		[NTP_CLIENT_MODE] = "does not answer as a server",
		[NTP_CLIENT_VERSION] = "answers in another version",
		[NTP_CLIENT_KISS] = "has no time to tell",
		[NTP_CLIENT_LEAP] = "says that it is not synchronised",
		[NTP_CLIENT_STRATUM] = "has the stratum of one that is not synchronised",
		[NTP_CLIENT_NO_TIME] = "answers without a time",
		[NTP_CLIENT_BACKWARDS] = "answers before it is asked, by its times",
		[NTP_CLIENT_DISTANCE] = "says that it may be off by a second",
		[NTP_CLIENT_OFFSET] = "tells another time than this clock",
		[NTP_CLIENT_STRATUM_LAST] = "has the last stratum there is",
	};

	return texts[verdict];
}
