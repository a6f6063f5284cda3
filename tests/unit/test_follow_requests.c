/* "clock follow": requests to the server. The test is the server, on the loopback interface, where
 * sent datagrams have arrived at once. It also sets the monotonic time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "protocol/ntp_packet.h"
#include "server/clock/follow.h"

#define MS CLOCK_MILLISECOND

static struct {
	int socket;
	struct address client; /* of the last request */
	struct config_clock source;
	struct follow follow;
} test;

static int begin(void **cmocka)
{
	struct address address;
	socklen_t size = sizeof(address);

	(void)cmocka;
	assert_true(address_parse(&address, "127.0.0.1", 0));
	test.socket = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(test.socket, &address.any, address_length(&address)), 0);
	assert_int_equal(getsockname(test.socket, &address.any, &size), 0);
	test.source = (struct config_clock){ .source = CLOCK_SOURCE_FOLLOW,
					     .host = "127.0.0.1",
					     .port = address_port(&address) };
	follow_open(&test.follow, &test.source, 0);
	return 0;
}

static int end(void **cmocka)
{
	(void)cmocka;
	follow_close(&test.follow);
	close(test.socket);
	return 0;
}

/* Receives the next request; returns false if there is none. */
static bool receive(struct ntp_packet *request)
{
	uint8_t bytes[2 * NTP_PACKET_SIZE], expected[NTP_PACKET_SIZE];
	socklen_t size = sizeof(test.client);
	ssize_t length =
		recvfrom(test.socket, bytes, sizeof(bytes), MSG_DONTWAIT, &test.client.any, &size);
	struct bytes_reader reader = bytes_reader_open(bytes, length < 0 ? 0 : (size_t)length);

	if (length < 0)
		return false;
	assert_int_equal(length, NTP_PACKET_SIZE);
	assert_true(ntp_packet_read(request, &reader));
	/* Only the version, the mode, and a nonce as transmit time (RFC 9109). */
	memset(expected, 0, sizeof(expected));
	expected[0] = 0x23;
	assert_memory_equal(bytes, expected, 40);
	assert_int_not_equal(request->transmit, 0);
	return true;
}

static unsigned count_requests(void)
{
	struct ntp_packet request;
	unsigned count = 0;

	while (receive(&request))
		count++;
	return count;
}

/* A valid reply to a request, from a server with the same clock. */
static struct ntp_packet reply_to(const struct ntp_packet *request)
{
	clock_ntp_time now = clock_read_ntp();

	return (struct ntp_packet){
		.version = 4,
		.mode = NTP_MODE_SERVER,
		.stratum = 3,
		.reference_id = CLOCK_REFERENCE(192, 0, 2, 1),
		.reference = now,
		.origin = request->transmit,
		.receive = now,
		.transmit = now,
	};
}

static void send_reply(const struct ntp_packet *reply, int64_t now)
{
	uint8_t bytes[NTP_PACKET_SIZE];
	struct bytes_writer writer = bytes_writer_open(bytes, sizeof(bytes));

	ntp_packet_write(reply, &writer);
	assert_int_equal(sendto(test.socket, bytes, sizeof(bytes), 0, &test.client.any,
				address_length(&test.client)),
			 sizeof(bytes));
	follow_receive(&test.follow, now);
}

/* Lets a request be sent at now, and replies to it. */
static void exchange(int64_t now)
{
	struct ntp_packet request, reply;

	follow_tick(&test.follow, now);
	assert_true(receive(&request));
	reply = reply_to(&request);
	send_reply(&reply, now);
}

static void reply_with_kod(const char *code, int64_t now)
{
	struct ntp_packet request, reply;

	follow_tick(&test.follow, now);
	assert_true(receive(&request));
	reply = reply_to(&request);
	reply.stratum = 0;
	reply.reference_id = CLOCK_REFERENCE(code[0], code[1], code[2], code[3]);
	send_reply(&reply, now);
}

static void assert_synchronised(void)
{
	struct clock_state state;

	assert_null(follow_state(&test.follow, &state));
	assert_int_equal(state.stratum, 3);
	assert_true(clock_state_is_synchronised(&state));
}

static void assert_unsynchronised(const char *reason)
{
	struct clock_state state;

	assert_string_equal(follow_state(&test.follow, &state), reason);
	assert_false(clock_state_is_synchronised(&state));
	assert_int_equal(state.stratum, 0);
}

static void requests_are_sent_four_times_a_second(void **cmocka)
{
	struct ntp_packet requests[4] = { 0 };

	(void)cmocka;
	assert_unsynchronised("has not replied yet");
	for (unsigned i = 0; i < 4; i++) {
		int64_t now = i * 250 * MS;

		follow_tick(&test.follow, now);
		assert_true(receive(&requests[i]));
		for (unsigned j = 0; j < i; j++)
			assert_int_not_equal(requests[i].transmit, requests[j].transmit);
		assert_true(follow_tick(&test.follow, now + 249 * MS) <= now + 250 * MS);
		assert_int_equal(count_requests(), 0);
	}
}

static void a_duplicate_reply_is_ignored(void **cmocka)
{
	struct ntp_packet request, reply;

	(void)cmocka;
	follow_tick(&test.follow, 0);
	assert_true(receive(&request));
	reply = reply_to(&request);
	send_reply(&reply, 1 * MS);
	assert_synchronised();
	reply.leap = CLOCK_LEAP_UNKNOWN;
	send_reply(&reply, 2 * MS);
	assert_synchronised();
}

static void a_reply_to_an_earlier_request_is_accepted(void **cmocka)
{
	struct ntp_packet first, request, reply;

	(void)cmocka;
	follow_tick(&test.follow, 0);
	assert_true(receive(&first));
	for (int64_t now = 250 * MS; now < 1000 * MS; now += 250 * MS) {
		follow_tick(&test.follow, now);
		assert_true(receive(&request));
	}
	reply = reply_to(&first);
	send_reply(&reply, 999 * MS);
	assert_synchronised();
}

static void a_late_reply_is_ignored(void **cmocka)
{
	struct ntp_packet request, reply;

	(void)cmocka;
	follow_tick(&test.follow, 0);
	assert_true(receive(&request));
	reply = reply_to(&request);
	send_reply(&reply, 1001 * MS);
	follow_tick(&test.follow, 1001 * MS);
	assert_unsynchronised("sent a reply with the wrong origin");
}

static void a_silent_server_is_lost(void **cmocka)
{
	(void)cmocka;
	exchange(0);
	assert_synchronised();
	for (int64_t now = 0; now < 750 * MS; now += 10 * MS) {
		assert_true(follow_tick(&test.follow, now) <= 750 * MS);
		assert_synchronised();
	}
	assert_true(follow_tick(&test.follow, 750 * MS) <= 1000 * MS);
	assert_unsynchronised("does not reply");
	count_requests();
	exchange(1000 * MS);
	assert_synchronised();
}

/* A reply with a wrong origin neither refreshes nor unsynchronises the clock state. */
static void forged_replies_change_nothing(void **cmocka)
{
	struct ntp_packet forged = { 0 };

	(void)cmocka;
	exchange(0);
	forged = reply_to(&forged);
	forged.leap = CLOCK_LEAP_UNKNOWN;
	for (int64_t now = 0; now < 750 * MS; now += 50 * MS) {
		forged.origin = (clock_ntp_time)now;
		send_reply(&forged, now);
		follow_tick(&test.follow, now);
		assert_synchronised();
	}
	follow_tick(&test.follow, 750 * MS);
	assert_unsynchronised("sent a reply with the wrong origin");
}

static void a_server_with_another_time_is_lost_at_once(void **cmocka)
{
	struct ntp_packet request, reply;

	(void)cmocka;
	exchange(0);
	follow_tick(&test.follow, 250 * MS);
	assert_true(receive(&request));
	reply = reply_to(&request);
	reply.transmit += UINT64_C(1) << 32;
	reply.receive = reply.transmit;
	send_reply(&reply, 251 * MS);
	assert_unsynchronised("differs from this clock by more than 128 ms");
}

static void a_rate_kod_doubles_the_interval(void **cmocka)
{
	int64_t now = 0, interval = 250 * MS;

	(void)cmocka;
	for (int i = 0; i < 12; i++) {
		reply_with_kod("RATE", now);
		assert_unsynchronised("asks for fewer requests (kiss code RATE)");
		interval = 2 * interval < 64 * CLOCK_SECOND ? 2 * interval : 64 * CLOCK_SECOND;
		assert_int_equal(follow_tick(&test.follow, now), now + interval);
		assert_int_equal(follow_tick(&test.follow, now + interval - 1), now + interval);
		assert_int_equal(count_requests(), 0);
		now += interval;
	}
	/* A reply is valid for three intervals, whatever their length. */
	exchange(now);
	follow_tick(&test.follow, now + 3 * interval - 1);
	assert_synchronised();
	follow_tick(&test.follow, now + 3 * interval);
	assert_unsynchronised("does not reply");
}

static void a_deny_kod_stops_requests_for_a_minute(void **cmocka)
{
	static const char *const codes[] = { "DENY", "RSTR" };

	(void)cmocka;
	for (int i = 0; i < 2; i++) {
		int64_t now = i * 60 * CLOCK_SECOND;

		reply_with_kod(codes[i], now);
		assert_unsynchronised("refuses requests (kiss code DENY or RSTR)");
		for (int64_t second = 0; second < 60; second++)
			follow_tick(&test.follow, now + second * CLOCK_SECOND);
		assert_unsynchronised("refuses requests (kiss code DENY or RSTR)");
		assert_int_equal(count_requests(), 0);
	}
	exchange(120 * CLOCK_SECOND);
	assert_synchronised();
}

static void other_kods_do_not_stop_requests(void **cmocka)
{
	(void)cmocka;
	exchange(0);
	reply_with_kod("INIT", 250 * MS);
	assert_unsynchronised("sent a kiss-o'-death");
	exchange(500 * MS);
	assert_synchronised();
}

static void replies_to_requests_from_before_a_step_are_ignored(void **cmocka)
{
	struct ntp_packet request, reply;
	struct clock_state state;

	(void)cmocka;
	exchange(0);
	follow_tick(&test.follow, 250 * MS);
	assert_true(receive(&request));
	follow_forget(&test.follow, 251 * MS);
	assert_unsynchronised("has not replied since the clock was set");
	follow_state(&test.follow, &state);
	assert_int_equal(state.reference_id, CLOCK_REFERENCE_STEP);
	reply = reply_to(&request);
	send_reply(&reply, 252 * MS);
	assert_unsynchronised("has not replied since the clock was set");
	exchange(500 * MS);
	assert_synchronised();
}

static void the_source_port_changes_every_64_requests(void **cmocka)
{
	uint16_t ports[8], last = 0;
	unsigned changes = 0;

	(void)cmocka;
	for (unsigned i = 0; i < 64 * 8; i++) {
		exchange(i * 250 * MS);
		assert_synchronised();
		if (address_port(&test.client) == last)
			continue;
		last = address_port(&test.client);
		assert_int_equal(i % 64, 0);
		assert_true(changes < 8);
		ports[changes++] = last;
	}
	assert_true(changes >= 7); /* the same port may be drawn twice */
	assert_int_not_equal(ports[0], ports[1]);
}

static void requests_to_a_lost_server_back_off(void **cmocka)
{
	unsigned requests = 0;
	int64_t now = 0;

	(void)cmocka;
	for (; now < 8 * CLOCK_SECOND; now += 10 * MS)
		follow_tick(&test.follow, now);
	assert_in_range(count_requests(), 30, 33);
	for (; now < 600 * CLOCK_SECOND; now += 10 * MS) {
		follow_tick(&test.follow, now);
		requests += count_requests();
	}
	assert_in_range(requests, 550, 650); /* once a second by then */
	assert_int_equal(test.follow.retry_backoff, FOLLOW_BACKOFF_MAX);
	while (follow_tick(&test.follow, now) <= now)
		continue;
	exchange(now + CLOCK_SECOND);
	assert_synchronised();
	assert_int_equal(test.follow.retry_backoff, FOLLOW_BACKOFF);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(requests_are_sent_four_times_a_second),
		TEST(a_duplicate_reply_is_ignored),
		TEST(a_reply_to_an_earlier_request_is_accepted),
		TEST(a_late_reply_is_ignored),
		TEST(a_silent_server_is_lost),
		TEST(forged_replies_change_nothing),
		TEST(a_server_with_another_time_is_lost_at_once),
		TEST(a_rate_kod_doubles_the_interval),
		TEST(a_deny_kod_stops_requests_for_a_minute),
		TEST(other_kods_do_not_stop_requests),
		TEST(replies_to_requests_from_before_a_step_are_ignored),
		TEST(the_source_port_changes_every_64_requests),
		TEST(requests_to_a_lost_server_back_off),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
