#include "server/request/datagrams.h"

#include "server/request/udp_io.h"

/* More than fits into a socket's buffer of the default size. */
#define DRAIN_BATCHES 64

bool datagrams_open(struct datagrams *datagrams)
{
	if (!admission_open(&datagrams->admission, datagrams->service, datagrams->counters,
			    &datagrams->interfaces.networks))
		return false;
	datagrams->io = udp_io_open(datagrams->items, &datagrams->interfaces);
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

/* Without the kernel's stamp, the arrival is the time at which the datagram was read. */
static void complete_arrivals(struct datagrams *datagrams, const struct protocol *protocol)
{
	clock_ntp_time now = 0;
	unsigned unstamped = 0;

	for (unsigned i = 0; protocol->kernel_stamps && i < datagrams->count; i++) {
		struct datagram *datagram = &datagrams->items[i];

		if (datagram->stamped)
			continue;
		if (unstamped++ == 0)
			now = clock_read_ntp();
		datagram->arrival = now;
	}
	counter_add(&datagrams->counters->unstamped_requests, unstamped);
}

/* Decides on every datagram of the batch: drop is set, and kod. */
static void admit(struct datagrams *datagrams, const struct listener *listener,
		  const struct clock_state *state, int64_t now)
{
	bool silent = service_is_silent(datagrams->service, listener->protocol, state);

	for (unsigned i = 0; i < datagrams->count; i++) {
		struct datagram *datagram = &datagrams->items[i];

		datagram->reply_size = 0;
		admission_judge(&datagrams->admission, listener, datagram, now);
		if (datagram->drop == DROP_NONE && silent)
			datagram->drop = DROP_UNSYNCHRONISED;
	}
}

static void set_request(struct protocol_request *request, const struct datagram *datagram)
{
	request->bytes = datagram->bytes;
	request->size = datagram->size;
	request->peer_port = address_port(&datagram->peer);
	request->kod = datagram->kod;
	request->receive = datagram->arrival;
	/* With a clock that was set back since, time must not run backwards. */
	if (datagram->arrival == 0 || (int64_t)(request->transmit - datagram->arrival) < 0)
		request->receive = request->transmit;
}

/* The slow half, before the clock is read. */
static void prepare(struct datagrams *datagrams, const struct protocol *protocol)
{
	struct protocol_request request = { .now = &datagrams->second };

	for (unsigned i = 0; protocol->prepare && i < datagrams->count; i++) {
		struct datagram *datagram = &datagrams->items[i];

		if (datagram->drop != DROP_NONE)
			continue;
		set_request(&request, datagram);
		if (!protocol->prepare(&request))
			datagram->drop = DROP_INVALID;
	}
}

static void reply_to(struct datagram *datagram, const struct protocol *protocol,
		     const struct protocol_request *request)
{
	struct bytes_writer writer = bytes_writer_open(datagram->reply, sizeof(datagram->reply));

	protocol->reply(request, &writer);
	datagram->reply_size = bytes_written(&writer);
	/* No forger can use us to send a victim more than it costs to ask. */
	if (protocol->bounded_reply && datagram->reply_size > datagram->size)
		datagram->reply_size = 0;
	if (datagram->reply_size == 0)
		datagram->drop = DROP_INVALID;
}

/* Writes the replies, each with the time at which it will leave. Returns how many there are. */
static unsigned reply(struct datagrams *datagrams, const struct protocol *protocol,
		      const struct clock_state *state)
{
	struct protocol_request request = {
		.now = &datagrams->second,
		.clock = state,
		.precision = datagrams->service->precision,
	};
	unsigned replies = 0;

	tx_delay_set_clock(&datagrams->tx_delay, clock_read_second(&datagrams->second));
	for (unsigned i = 0; i < datagrams->count; i++) {
		struct datagram *datagram = &datagrams->items[i];

		if (datagram->drop != DROP_NONE)
			continue;
		request.transmit = tx_delay_predict(&datagrams->tx_delay, replies);
		set_request(&request, datagram);
		reply_to(datagram, protocol, &request);
		replies += datagram->reply_size > 0;
	}
	return replies;
}

/* Learns from the kernel's transmit stamp of the reply at a position among those of the batch. */
static void learn(struct datagrams *datagrams, unsigned position, clock_ntp_time sent)
{
	clock_ntp_span error =
		(clock_ntp_span)(sent - tx_delay_predict(&datagrams->tx_delay, position));
	const struct datagram *datagram = datagrams->items;

	for (unsigned passed = 0; datagram->reply_size == 0 || passed < position; datagram++)
		passed += datagram->reply_size > 0;
	histogram_count(&datagrams->counters->transmit_stamp_error,
			clock_span_from_ntp(error < 0 ? -error : error));
	if (datagram->stamped)
		histogram_count(&datagrams->counters->response_time,
				clock_span_from_ntp((clock_ntp_span)(sent - datagram->arrival)));
	tx_delay_update(&datagrams->tx_delay, position, sent);
}

/* Sends the replies. Returns how many were sent. */
static unsigned send_all(struct datagrams *datagrams, const struct listener *listener,
			 unsigned replies)
{
	int sample = listener->protocol->kernel_stamps ?
			     tx_delay_choose_sample(&datagrams->tx_delay, replies) :
			     -1;
	clock_ntp_time stamp;
	unsigned sent = udp_io_send(datagrams->io, listener->fd, datagrams->items, datagrams->count,
				    sample, &stamp);

	if (stamp != 0)
		learn(datagrams, (unsigned)sample, stamp);
	return sent;
}

static void count(struct datagrams *datagrams, const struct protocol *protocol, unsigned replies,
		  unsigned sent)
{
	struct counters *counters = datagrams->counters;
	size_t row = protocol_index(protocol);

	for (unsigned i = 0; i < datagrams->count; i++) {
		const struct datagram *datagram = &datagrams->items[i];

		if (datagram->drop != DROP_NONE)
			counter_add(&counters->drops[datagram->drop], 1);
		else if (datagram->kod != PROTOCOL_KOD_NONE)
			counter_add(&counters->kod_sent, 1);
	}
	counter_add(&counters->requests[row], datagrams->count);
	counter_add(&counters->replies[row], sent);
	if (protocol->kernel_stamps && udp_io_lacks_stamps(datagrams->io))
		counter_add(&counters->unstamped_replies, sent);
	counter_add(&counters->drops[DROP_FAILED], replies - sent);
}

/* Counts the batch for the top clients: one peer, a different one every time, stands for all. */
static void count_clients(struct datagrams *datagrams, unsigned requests, int64_t now)
{
	const struct datagram *sample = &datagrams->items[(uint64_t)now / 64 % requests];

	top_clients_count(datagrams->top_clients, &sample->peer, requests, now);
}

bool datagrams_serve(struct datagrams *datagrams, const struct listener *listener, int64_t now)
{
	const struct protocol *protocol = listener->protocol;
	struct clock_state state;
	unsigned requests, replies, sent;

	interfaces_refresh(&datagrams->service->interfaces, &datagrams->interfaces,
			   &datagrams->interfaces_sequence);
	requests = udp_io_receive(datagrams->io, listener->fd, datagrams->items);
	datagrams->count = requests;
	if (requests == 0)
		return false;
	complete_arrivals(datagrams, protocol);
	tx_delay_begin_batch(&datagrams->tx_delay, now);
	clock_state_read(&datagrams->service->stats->clock, now, &state);
	admit(datagrams, listener, &state, now);
	prepare(datagrams, protocol);
	if (protocol->kernel_stamps && !datagrams->tx_delay.warm)
		udp_io_warm_up(datagrams->io, listener->fd, datagrams->items, requests);
	replies = reply(datagrams, protocol, &state);
	sent = send_all(datagrams, listener, replies);
	count(datagrams, protocol, replies, sent);
	count_clients(datagrams, requests, now);
	return requests == DATAGRAM_BATCH;
}

void datagrams_drain_listener(struct datagrams *datagrams, const struct listener *listener)
{
	for (int i = 0; i < DRAIN_BATCHES; i++) {
		if (!datagrams_serve(datagrams, listener, clock_monotonic()))
			break;
	}
}
