#include "protocol/ntp_reference.h"

static uint64_t magnitude_of(const struct ntp_client_measurement *measurement)
{
	clock_ntp_span offset = measurement->offset;

	return offset < 0 ? -(uint64_t)offset : (uint64_t)offset;
}

/* Sets measurement, unless this clock went back between request and reply. */
static enum ntp_client_verdict check_offset(struct ntp_client_measurement *measurement,
					    const struct ntp_client_exchange *exchange,
					    const struct ntp_packet *packet)
{
	uint64_t most = (uint64_t)clock_span_to_ntp(NTP_REFERENCE_OFFSET_MAX);

	if ((clock_ntp_span)(exchange->received - exchange->sent) < 0)
		return NTP_CLIENT_OFFSET;
	*measurement = ntp_client_measure(exchange, packet);
	most += (uint64_t)measurement->delay / 2;
	return magnitude_of(measurement) > most ? NTP_CLIENT_OFFSET : NTP_CLIENT_OK;
}

static void set_state(struct clock_state *state, const struct ntp_reference_context *context,
		      const struct ntp_packet *packet,
		      const struct ntp_client_measurement *measurement)
{
	clock_ntp_short delay = clock_short_from_span(measurement->delay);
	clock_ntp_short error = clock_short_from_span(
		(clock_ntp_span)(magnitude_of(measurement) + (uint64_t)measurement->delay / 2));

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
	state->reference_time = context->exchange.received;
	state->root_delay = clock_short_add(packet->root_delay, delay);
}

enum ntp_client_verdict ntp_reference_from_reply(const struct ntp_reference_context *context,
						 const void *bytes, size_t size,
						 struct clock_state *state, uint32_t *kod)
{
	struct ntp_client_measurement measurement;
	struct ntp_packet packet;
	enum ntp_client_verdict verdict =
		ntp_client_check(&packet, &context->exchange, bytes, size);

	if (!ntp_client_is_reply(verdict))
		return verdict;
	if (verdict == NTP_CLIENT_KISS)
		*kod = packet.reference_id;
	if (verdict == NTP_CLIENT_OK)
		verdict = check_offset(&measurement, &context->exchange, &packet);
	if (verdict == NTP_CLIENT_OK && !context->same_host &&
	    packet.stratum + 1 == NTP_STRATUM_LIMIT)
		verdict = NTP_CLIENT_STRATUM_LAST;
	if (verdict == NTP_CLIENT_OK) {
		set_state(state, context, &packet, &measurement);
		if (clock_state_root_distance(state) >= CLOCK_DISTANCE_MAX)
			verdict = NTP_CLIENT_DISTANCE;
	}
	if (verdict != NTP_CLIENT_OK)
		clock_state_unsynchronised(state, verdict == NTP_CLIENT_OFFSET ?
							  CLOCK_REFERENCE_STEP :
							  CLOCK_REFERENCE_INIT);
	return verdict;
}

uint32_t ntp_reference_id(const struct address *server)
{
	const uint8_t *bytes = server->ip6.sin6_addr.s6_addr;
	uint32_t hash = 2166136261, ip4;

	if (address_ip4(server, &ip4))
		return ip4;
	for (size_t i = 0; i < sizeof(server->ip6.sin6_addr); i++)
		hash = (hash ^ bytes[i]) * 16777619;
	return hash;
}
