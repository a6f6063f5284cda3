/* For the tests of "clock follow": the test is the server, on the loopback interface, where sent
 * datagrams have arrived at once. It also sets the monotonic time. */
#ifndef TESTS_UNIT_FOLLOW_SERVER_H
#define TESTS_UNIT_FOLLOW_SERVER_H

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

static inline int begin(void **cmocka)
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

static inline int end(void **cmocka)
{
	(void)cmocka;
	follow_close(&test.follow);
	close(test.socket);
	return 0;
}

/* Receives the next request, with its sender in test.client; returns false if there is none. */
static inline bool receive(struct ntp_packet *request)
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

static inline unsigned count_requests(void)
{
	struct ntp_packet request;
	unsigned count = 0;

	while (receive(&request))
		count++;
	return count;
}

/* A valid reply to a request, from a server with the same clock. */
static inline struct ntp_packet reply_to(const struct ntp_packet *request)
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

static inline void send_reply(const struct ntp_packet *reply, int64_t now)
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
static inline void exchange(int64_t now)
{
	struct ntp_packet request, reply;

	follow_tick(&test.follow, now);
	assert_true(receive(&request));
	reply = reply_to(&request);
	send_reply(&reply, now);
}

static inline void reply_with_kod(const char *code, int64_t now)
{
	struct ntp_packet request, reply;

	follow_tick(&test.follow, now);
	assert_true(receive(&request));
	reply = reply_to(&request);
	reply.stratum = 0;
	reply.reference_id = CLOCK_REFERENCE(code[0], code[1], code[2], code[3]);
	send_reply(&reply, now);
}

static inline void assert_synchronised(void)
{
	struct clock_state state;

	assert_null(follow_state(&test.follow, &state));
	assert_int_equal(state.stratum, 3);
	assert_true(clock_state_is_synchronised(&state));
}

static inline void assert_unsynchronised(const char *reason)
{
	struct clock_state state;

	assert_string_equal(follow_state(&test.follow, &state), reason);
	assert_false(clock_state_is_synchronised(&state));
	assert_int_equal(state.stratum, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

#endif
