/* What makes a reply of NTP one to the request, and one that can be used. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "client/query.h"
#include "client/udp.h"
#include "protocol/ntp_client.h"

#define NONCE UINT64_C(0x1122334455667788)
#define NOW   1800000000 /* seconds since 1970 */

static const struct ntp_packet good = {
	.version = 4,
	.mode = NTP_MODE_SERVER,
	.stratum = 2,
	.origin = NONCE,
	.receive = UINT64_C(0xee00000000000000),
	.transmit = UINT64_C(0xee00000000000001),
};

static enum ntp_client_verdict check(const struct ntp_packet *packet, clock_ntp_time nonce)
{
	const struct ntp_client_exchange exchange = { .nonce = nonce };
	struct ntp_packet read;
	uint8_t bytes[NTP_PACKET_SIZE];
	struct bytes_writer writer = bytes_writer_open(bytes, sizeof(bytes));

	ntp_packet_write(packet, &writer);
	assert_int_equal(ntp_client_check(&read, &exchange, bytes, sizeof(bytes) - 1),
			 NTP_CLIENT_SHORT);
	return ntp_client_check(&read, &exchange, bytes, sizeof(bytes));
}

/* The verdict on a good reply with another value of a member. */
#define CHECK_WITH(member, value)             \
	({                                    \
		struct ntp_packet bad = good; \
                                              \
		bad.member = (value);         \
		check(&bad, NONCE);           \
	})

static void a_reply_has_the_nonce_of_its_request(void **state)
{
	(void)state;
	assert_int_equal(check(&good, NONCE), NTP_CLIENT_OK);
	assert_int_equal(check(&good, NONCE + 1), NTP_CLIENT_ORIGIN);
	assert_int_equal(CHECK_WITH(origin, 0), NTP_CLIENT_ORIGIN);
	assert_int_equal(check(&(struct ntp_packet){ 0 }, 0), NTP_CLIENT_ORIGIN);
}

static void a_reply_is_of_a_server(void **state)
{
	(void)state;
	for (uint8_t mode = 0; mode < 8; mode++)
		assert_int_equal(CHECK_WITH(mode, mode),
				 mode == 4 ? NTP_CLIENT_OK : NTP_CLIENT_MODE);
	for (uint8_t version = 0; version < 8; version++)
		assert_int_equal(CHECK_WITH(version, version),
				 version == 3 || version == 4 ? NTP_CLIENT_OK : NTP_CLIENT_VERSION);
}

static void a_server_that_is_not_synchronised_has_no_time(void **state)
{
	(void)state;
	assert_int_equal(CHECK_WITH(stratum, 0), NTP_CLIENT_KISS);
	assert_int_equal(CHECK_WITH(stratum, 15), NTP_CLIENT_OK);
	assert_int_equal(CHECK_WITH(stratum, 16), NTP_CLIENT_STRATUM);
	assert_int_equal(CHECK_WITH(leap, 3), NTP_CLIENT_LEAP);
	assert_int_equal(CHECK_WITH(receive, 0), NTP_CLIENT_NO_TIME);
	assert_int_equal(CHECK_WITH(transmit, 0), NTP_CLIENT_NO_TIME);
	assert_int_equal(CHECK_WITH(transmit, good.receive - 1), NTP_CLIENT_BACKWARDS);
}

static void a_root_distance_has_a_limit(void **state)
{
	(void)state;
	assert_int_equal(CHECK_WITH(root_dispersion, CLOCK_DISTANCE_MAX - 1), NTP_CLIENT_OK);
	assert_int_equal(CHECK_WITH(root_dispersion, CLOCK_DISTANCE_MAX), NTP_CLIENT_DISTANCE);
	assert_int_equal(CHECK_WITH(root_delay, 2 * CLOCK_DISTANCE_MAX - 2), NTP_CLIENT_OK);
	assert_int_equal(CHECK_WITH(root_delay, 2 * CLOCK_DISTANCE_MAX), NTP_CLIENT_DISTANCE);
}

/* Else it would be wrong by as much as the clock was set. */
static void a_clock_that_was_set_back_gives_no_offset(void **state)
{
	uint8_t bytes[NTP_PACKET_SIZE];
	struct bytes_writer writer = bytes_writer_open(bytes, sizeof(bytes));
	struct udp_reply reply = {
		.nonce = NONCE,
		.sent = { .tv_sec = NOW },
		.received = { .tv_sec = NOW - 1 },
		.bytes = bytes,
		.size = sizeof(bytes),
	};
	struct sample sample = { .valid = false };
	const char *reason = "";

	(void)state;
	ntp_packet_write(&good, &writer);
	assert_int_equal(query_ntp_protocol.check(&reply, &sample, &reason), UDP_UNUSABLE);
	assert_string_equal(reason, "local clock set back");
	assert_false(sample.valid || sample.has_offset);
	reply.received.tv_sec = NOW;
	assert_int_equal(query_ntp_protocol.check(&reply, &sample, &reason), UDP_ACCEPTED);
	assert_true(sample.valid && sample.has_offset);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_reply_has_the_nonce_of_its_request),
		cmocka_unit_test(a_reply_is_of_a_server),
		cmocka_unit_test(a_server_that_is_not_synchronised_has_no_time),
		cmocka_unit_test(a_root_distance_has_a_limit),
		cmocka_unit_test(a_clock_that_was_set_back_gives_no_offset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
