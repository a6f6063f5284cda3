#include "server/request/datagrams.h"

#include "server/request/udp_io.h"

/* What can wait in a socket's buffer of the default size, generously. */
#define DRAIN_BATCHES 64

bool datagrams_open(struct datagrams *datagrams)
{
	if (!admission_open(&datagrams->admission, datagrams->service))
		return false;
	datagrams->io = udp_io_open(datagrams->items);
	if (!datagrams->io)
		admission_close(&datagrams->admission);
	return datagrams->io != NULL;
}

void datagrams_close(struct datagrams *datagrams)
{
	if (!datagrams->io)
		return;
	udp_io_close(datagrams->io);
	admission_close(&datagrams->admission);
}

static void drop(struct datagrams *datagrams, enum drop reason)
{
	counter_add(&datagrams->counters->drops[reason], 1);
}

/* Writes the reply to a datagram that was admitted. */
static void answer(struct datagrams *datagrams, const struct listener *listener,
		   struct datagram *datagram, struct protocol_request *request)
{
	const struct protocol *protocol = listener->protocol;
	struct bytes_writer reply = bytes_writer_open(datagram->reply, sizeof(datagram->reply));

	request->bytes = datagram->bytes;
	request->size = datagram->size;
	request->peer_port = address_port(&datagram->peer);
	request->receive = datagram->arrival;
	/* A clock that was set back in between must not make time run backwards in a reply. */
	if (datagram->arrival == 0 || (int64_t)(request->transmit - datagram->arrival) < 0)
		request->receive = request->transmit;
	protocol->reply(request, &reply);
	datagram->reply_size = bytes_written(&reply);
	/* Nobody can use us to send more to a victim than it takes to ask. */
	if (!protocol->answers_anything && datagram->reply_size > datagram->size)
		datagram->reply_size = 0;
	if (datagram->reply_size == 0)
		drop(datagrams, DROP_INVALID);
	else if (request->verdict != VERDICT_ADMIT)
		counter_add(&datagrams->counters->kisses, 1);
}

/* Judges every datagram of a batch; what is not to be answered gets a reason instead. */
static void admit_batch(struct datagrams *datagrams, const struct listener *listener,
			unsigned count, bool silent, int64_t now,
			enum verdict verdicts[static DATAGRAM_BATCH])
{
	for (unsigned i = 0; i < count; i++) {
		struct datagram *datagram = &datagrams->items[i];
		enum drop reason = admit_datagram(&datagrams->admission, listener, datagram, now,
						  datagrams->second.seconds, &verdicts[i]);

		datagram->reply_size = 0;
		if (reason == DROP_COUNT && silent)
			reason = DROP_UNSYNCHRONISED;
		if (reason == DROP_COUNT)
			datagram->reply_size = PROTOCOL_REPLY_MAX;
		else
			drop(datagrams, reason);
	}
}

/* Writes the replies to all that were admitted, each with the time at which it will leave. Returns
 * how many there are. */
static unsigned answer_batch(struct datagrams *datagrams, const struct listener *listener,
			     unsigned count, const struct clock_state *state,
			     const enum verdict verdicts[static DATAGRAM_BATCH])
{
	struct protocol_request request = {
		.now = &datagrams->second,
		.clock = state,
		.precision = datagrams->service->precision,
	};
	unsigned replies = 0;

	tx_delay_set_clock(&datagrams->tx_delay, clock_read_second(&datagrams->second));
	for (unsigned i = 0; i < count; i++) {
		struct datagram *datagram = &datagrams->items[i];

		if (datagram->reply_size == 0)
			continue;
		request.verdict = verdicts[i];
		request.transmit = tx_delay_predict(&datagrams->tx_delay, replies);
		answer(datagrams, listener, datagram, &request);
		replies += datagram->reply_size > 0;
	}
	return replies;
}

/* A reply that was watched on its way has left. */
static void learn(struct datagrams *datagrams, unsigned position, clock_ntp_time left)
{
	clock_ntp_span error =
		(clock_ntp_span)(left - tx_delay_predict(&datagrams->tx_delay, position));
	const struct datagram *datagram = datagrams->items;

	for (unsigned passed = 0; datagram->reply_size == 0 || passed < position; datagram++)
		passed += datagram->reply_size > 0;
	histogram_count(&datagrams->counters->stamp_error,
			clock_span_from_ntp(error < 0 ? -error : error));
	if (datagram->arrival != 0)
		histogram_count(&datagrams->counters->response_time,
				clock_span_from_ntp((clock_ntp_span)(left - datagram->arrival)));
	tx_delay_update(&datagrams->tx_delay, position, left);
}

/* Sends the replies of a batch, so many there are. */
static void send_batch(struct datagrams *datagrams, const struct listener *listener, unsigned count,
		       unsigned replies)
{
	const struct protocol *protocol = listener->protocol;
	int watched = protocol->answers_anything ?
			      -1 :
			      tx_delay_choose_sample(&datagrams->tx_delay, replies);
	clock_ntp_time left;
	unsigned sent =
		udp_io_send(datagrams->io, listener->fd, datagrams->items, count, watched, &left);

	if (left != 0)
		learn(datagrams, (unsigned)watched, left);
	counter_add(&datagrams->counters->replies[protocol_index(protocol)], sent);
	counter_add(&datagrams->counters->drops[DROP_FAILED], replies - sent);
}

bool datagrams_serve(struct datagrams *datagrams, const struct listener *listener, int64_t now)
{
	const struct protocol *protocol = listener->protocol;
	const struct service *service = datagrams->service;
	enum verdict verdicts[DATAGRAM_BATCH];
	struct clock_state state;
	unsigned count, replies;

	count = udp_io_receive(datagrams->io, listener->fd, datagrams->items);
	if (count == 0)
		return false;
	tx_delay_begin_batch(&datagrams->tx_delay, now);
	if (protocol->answers_anything)
		clock_read_second(&datagrams->second);
	clock_state_read(&service->stats->clock, now, &state);
	admit_batch(datagrams, listener, count, service_is_silent(service, protocol, &state), now,
		    verdicts);
	if (!protocol->answers_anything && !datagrams->tx_delay.warm)
		udp_io_warm_up(datagrams->io, listener->fd, datagrams->items, count);
	replies = answer_batch(datagrams, listener, count, &state, verdicts);
	send_batch(datagrams, listener, count, replies);
	/* One speaks for all that came with it, a different one every time. */
	top_clients_count(datagrams->top_clients,
			  &datagrams->items[(uint64_t)now / 64 % count].peer, count, now);
	counter_add(&datagrams->counters->requests[protocol_index(protocol)], count);
	return count == DATAGRAM_BATCH;
}

void datagrams_drain_listener(struct datagrams *datagrams, const struct listener *listener)
{
	for (int i = 0; i < DRAIN_BATCHES; i++) {
		if (!datagrams_serve(datagrams, listener, clock_monotonic()))
			break;
	}
}
