/* The straight line of NTP over UDP, with real sockets and a clock that the test can stop. */
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "protocol/ntp_packet.h"
#include "server/request/datagrams.h"
#include "server/request/udp_io.h"
#include "server/sockets/socket.h"

#define LATER	    (1000 * 86400) /* seconds */
#define WAIT	    (30 * CLOCK_MILLISECOND)
#define MICROSECOND (CLOCK_MILLISECOND / 1000)

/* What every clock says; or, without seconds, nothing. */
static struct timespec stopped;

/* NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name): reserved in the library */
int clock_gettime(clockid_t clock, struct timespec *time)
{
	(void)clock;
	if (stopped.tv_sec == 0)
		return timespec_get(time, TIME_UTC) == TIME_UTC ? 0 : -1;
	*time = stopped;
	return 0;
}

static void stop_clock(time_t difference)
{
	timespec_get(&stopped, TIME_UTC);
	stopped.tv_sec += difference;
}

static struct stats stats;
static struct service service;
static struct datagrams datagrams;
static struct top_clients top_clients;
static struct listener listener;
static struct counters *const counters = &stats.workers[0].counters;
static int client;

static int begin(void **state)
{
	struct clock_state local;
	socklen_t size = sizeof(listener.address);

	(void)state;
	memset(&stats, 0, sizeof(stats));
	memset(&service, 0, sizeof(service));
	memset(&top_clients, 0, sizeof(top_clients));
	memset(&stopped, 0, sizeof(stopped));
	service.stats = &stats;
	clock_state_local(&local, 5, clock_read_ntp(), clock_monotonic());
	clock_state_publish(&stats.clock, &local);
	datagrams = (struct datagrams){
		.service = &service,
		.counters = counters,
		.top_clients = &top_clients,
	};
	listener = (struct listener){ .protocol = protocol_find("ntp") };
	address_parse(&listener.address, "127.0.0.1", 0);
	listener.fd = socket_open(listener.protocol, &listener.address, false, geteuid());
	client = socket(AF_INET, SOCK_DGRAM, 0);
	if (!datagrams_open(&datagrams) || listener.fd < 0 ||
	    getsockname(listener.fd, &listener.address.any, &size) < 0)
		return -1;
	return connect(client, &listener.address.any, size);
}

static int end(void **state)
{
	(void)state;
	datagrams_close(&datagrams);
	close(listener.fd);
	close(client);
	return 0;
}

static void await(int fd)
{
	struct pollfd readable = { .fd = fd, .events = POLLIN };

	assert_int_equal(poll(&readable, 1, 10000), 1);
}

/* Sends a request of that size, and returns when it waits in the listener. */
static void ask(size_t size)
{
	uint8_t request[64] = { 0x23, [47] = 1 };

	assert_int_equal(send(client, request, size, 0), size);
	await(listener.fd);
}

static struct ntp_packet take_reply(void)
{
	uint8_t bytes[PROTOCOL_REPLY_MAX];
	struct ntp_packet reply;
	struct bytes_reader reader;
	ssize_t size;

	await(client);
	size = recv(client, bytes, sizeof(bytes), 0);
	assert_int_equal(size, NTP_PACKET_SIZE);
	reader = bytes_reader_open(bytes, (size_t)size);
	assert_true(ntp_packet_read(&reply, &reader));
	return reply;
}

static struct ntp_packet serve(void)
{
	datagrams_serve(&datagrams, &listener, clock_monotonic());
	return take_reply();
}

static int64_t between(clock_ntp_time earlier, clock_ntp_time later)
{
	return clock_span_from_ntp((clock_ntp_span)(later - earlier));
}

/* Serves a request that has waited. Returns whether its receive time is when it came. */
static bool is_received_when_it_came(void)
{
	clock_ntp_time before = clock_read_ntp(), arrived;
	struct ntp_packet reply;

	ask(48);
	arrived = clock_read_ntp();
	while (between(arrived, clock_read_ntp()) < WAIT)
		poll(NULL, 0, 1);
	reply = serve();
	return between(before, reply.receive) > -CLOCK_MILLISECOND &&
	       between(reply.receive, arrived) > -CLOCK_MILLISECOND &&
	       between(reply.receive, reply.transmit) >= WAIT - CLOCK_MILLISECOND;
}

/* The kernel begins to stamp a moment after it was asked to; until then it stamps what is read. */
static void the_receive_time_is_the_kernels_stamp(void **state)
{
	int tries = 0;

	(void)state;
	while (!is_received_when_it_came() && tries < 50)
		tries++;
	assert_in_range(tries, 0, 49);
	assert_int_equal(counter_read(&counters->unstamped_requests), 0);
}

/* Else it is when the request was read. */
static void without_a_stamp_the_receive_time_is_read(void **state)
{
	const int off = 0;
	struct ntp_packet reply;

	(void)state;
	setsockopt(listener.fd, SOL_SOCKET, SO_TIMESTAMPNS, &off, sizeof(off));
	ask(48);
	stop_clock(LATER);
	reply = serve();
	assert_true(reply.receive == clock_to_ntp(&stopped));
	assert_int_equal(counter_read(&counters->unstamped_requests), 1);
}

static void the_transmit_time_is_never_before_the_receive_time(void **state)
{
	struct ntp_packet reply;

	(void)state;
	ask(48);
	stop_clock(-LATER);
	reply = serve();
	assert_true(reply.transmit == clock_to_ntp(&stopped));
	assert_true(reply.receive == reply.transmit);
}

/* By the delay of earlier replies. */
static void the_transmit_time_is_when_the_reply_leaves(void **state)
{
	struct ntp_packet reply;

	(void)state;
	datagrams.tx_delay.first[0] = datagrams.tx_delay.first[1] = 300 * MICROSECOND;
	ask(48);
	stop_clock(LATER);
	reply = serve();
	assert_in_range(between(clock_to_ntp(&stopped), reply.transmit), 300 * MICROSECOND - 2,
			300 * MICROSECOND + 2);
}

/* A reply that took longer than a millisecond, on a busy machine, teaches nothing. */
static void the_delay_is_learnt_from_transmit_stamps(void **state)
{
	const struct tx_delay *delay = &datagrams.tx_delay;

	(void)state;
	for (int i = 0; i < 1000 && delay->first[0] + delay->first[1] == 0; i++) {
		ask(48);
		serve();
		if (udp_io_lacks_stamps(datagrams.io))
			skip();
		poll(NULL, 0, 5);
	}
	assert_true(delay->first[0] + delay->first[1] > 0);
}

/* The first one is to no port. */
static void a_reply_that_cannot_be_sent_does_not_stop_others(void **state)
{
	clock_ntp_time stamp;
	unsigned count = 0;

	(void)state;
	for (int tries = 0; tries < 1000 && count != 3; tries++) {
		for (int i = 0; i < 3; i++)
			ask(48);
		count = udp_io_receive(datagrams.io, listener.fd, datagrams.items);
	}
	assert_int_equal(count, 3);
	datagrams.items[0].peer.ip4.sin_port = 0;
	for (int i = 0; i < 3; i++)
		datagrams.items[i].reply_size = 48;
	assert_int_equal(udp_io_send(datagrams.io, listener.fd, datagrams.items, 3, -1, &stamp), 2);
}

/* Replies are never longer than requests, so a short request gets none. */
static void a_short_request_gets_no_reply(void **state)
{
	uint8_t bytes[PROTOCOL_REPLY_MAX];

	(void)state;
	for (size_t size = 1; size < 48; size++) {
		ask(size);
		datagrams_serve(&datagrams, &listener, clock_monotonic());
	}
	assert_int_equal(recv(client, bytes, sizeof(bytes), MSG_DONTWAIT), -1);
	assert_int_equal(counter_read(&counters->drops[DROP_INVALID]), 47);
	assert_int_equal(counter_read(&counters->replies[protocol_index(listener.protocol)]), 0);
}

/* With require-sync, Daytime is silent while the clock is not synchronised. */
static void an_unsynchronised_clock_is_silent(void **state)
{
	struct clock_state unsynchronised;
	uint8_t bytes[PROTOCOL_REPLY_MAX];

	(void)state;
	clock_state_unsynchronised(&unsynchronised, CLOCK_REFERENCE_INIT);
	clock_state_publish(&stats.clock, &unsynchronised);
	service.config.require_sync = true;
	ask(48);
	assert_int_equal(serve().leap, CLOCK_LEAP_UNKNOWN);
	listener.protocol = protocol_find("daytime/udp");
	ask(1);
	datagrams_serve(&datagrams, &listener, clock_monotonic());
	assert_int_equal(recv(client, bytes, sizeof(bytes), MSG_DONTWAIT), -1);
	assert_int_equal(counter_read(&counters->drops[DROP_UNSYNCHRONISED]), 1);
	service.config.require_sync = false;
	ask(1);
	datagrams_serve(&datagrams, &listener, clock_monotonic());
	await(client);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_receive_time_is_the_kernels_stamp, begin, end),
		cmocka_unit_test_setup_teardown(without_a_stamp_the_receive_time_is_read, begin,
						end),
		cmocka_unit_test_setup_teardown(the_transmit_time_is_never_before_the_receive_time,
						begin, end),
		cmocka_unit_test_setup_teardown(the_transmit_time_is_when_the_reply_leaves, begin,
						end),
		cmocka_unit_test_setup_teardown(the_delay_is_learnt_from_transmit_stamps, begin,
						end),
		cmocka_unit_test_setup_teardown(a_reply_that_cannot_be_sent_does_not_stop_others,
						begin, end),
		cmocka_unit_test_setup_teardown(a_short_request_gets_no_reply, begin, end),
		cmocka_unit_test_setup_teardown(an_unsynchronised_clock_is_silent, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
