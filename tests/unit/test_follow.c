/* "clock follow": the clock state that a server's reply gives.
 *
 *   byte 0                1         2        3
 *   +----+-------+------+---------+--------+-----------+
 *   | LI | vers. | mode | stratum |  poll  | precision |
 *   +----+-------+------+---------+--------+-----------+
 *    4 root delay (16.16)    8 root dispersion (16.16)   12 reference identifier
 *   16 reference time   24 origin: our nonce   32 receive: T2   40 transmit: T3
 *
 *     server          T2 ---- T3
 *                    /          \
 *     client       T1            T4      offset ((T2-T1)+(T3-T4))/2, delay (T4-T1)-(T3-T2)
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "protocol/ntp_packet.h"
#include "server/clock/follow.h"

#define NONCE 0x0123456789abcdef
#define T1    0xeeadbdbc00000000
#define UNIT  (UINT64_C(1) << 16) /* of the short format, in the timestamp format */

/* 2 units there, 3 units at the server, 4 units back: offset -1 unit, delay 6 units. */
static const struct ntp_reference_context remote = {
	.exchange.nonce = NONCE,
	.exchange.sent = T1,
	.exchange.received = T1 + 9 * UNIT,
	.monotonic = 4711,
	.reference_id = CLOCK_REFERENCE(192, 0, 2, 1),
};

static const struct ntp_packet good = {
	.leap = CLOCK_LEAP_INSERT,
	.version = 4,
	.mode = NTP_MODE_SERVER,
	.stratum = 2,
	.root_delay = 100,
	.root_dispersion = 50,
	.reference_id = CLOCK_REFERENCE('G', 'P', 'S', 0),
	.reference = T1 - 7,
	.origin = NONCE,
	.receive = T1 + 2 * UNIT,
	.transmit = T1 + 5 * UNIT,
};

static enum ntp_client_verdict evaluate(const struct ntp_reference_context *context,
					const struct ntp_packet *packet, struct clock_state *state)
{
	uint8_t bytes[NTP_PACKET_SIZE];
	struct bytes_writer writer = bytes_writer_open(bytes, sizeof(bytes));
	uint32_t kod = 0;

	ntp_packet_write(packet, &writer);
	return ntp_reference_from_reply(context, bytes, bytes_written(&writer), state, &kod);
}

static void assert_same(const struct clock_state *state, const struct clock_state *expected)
{
	assert_int_equal(state->leap, expected->leap);
	assert_int_equal(state->stratum, expected->stratum);
	assert_int_equal(state->reference_id, expected->reference_id);
	assert_int_equal(state->reference_time, expected->reference_time);
	assert_int_equal(state->root_delay, expected->root_delay);
	assert_int_equal(state->root_dispersion, expected->root_dispersion);
	assert_int_equal(state->drift_ppm, expected->drift_ppm);
	assert_int_equal(state->measured, expected->measured);
}

static void a_remote_server_gives_the_next_stratum(void **cmocka)
{
	static const struct clock_state expected = {
		.leap = CLOCK_LEAP_INSERT,
		.stratum = 3,
		.reference_id = CLOCK_REFERENCE(192, 0, 2, 1),
		.reference_time = T1 + 9 * UNIT,
		.root_delay = 106,
		.root_dispersion = 50 + 1 + 3,
		.drift_ppm = 15,
		.measured = 4711,
	};
	struct clock_state state;

	(void)cmocka;
	assert_int_equal(evaluate(&remote, &good, &state), NTP_CLIENT_OK);
	assert_same(&state, &expected);
}

static void the_fields_of_a_local_server_are_taken_over(void **cmocka)
{
	static const struct clock_state expected = {
		.leap = CLOCK_LEAP_INSERT,
		.stratum = 2,
		.reference_id = CLOCK_REFERENCE('G', 'P', 'S', 0),
		.reference_time = T1 - 7,
		.root_delay = 100,
		.root_dispersion = 50 + 1 + 3,
		.drift_ppm = 15,
		.measured = 4711,
	};
	struct ntp_reference_context here = remote;
	struct clock_state state;

	(void)cmocka;
	here.same_host = true;
	assert_int_equal(evaluate(&here, &good, &state), NTP_CLIENT_OK);
	assert_same(&state, &expected);
}

/* A change to the good reply, and its verdict. */
static const struct {
	const char *what;
	size_t field; /* the offset in the packet */
	size_t width; /* in bytes */
	uint64_t value;
	enum ntp_client_verdict verdict;
	const char *reason; /* reference identifier of the state; NULL: the state is unchanged */
} changes[] = {
	{ "origin off by a bit", 24, 8, NONCE ^ 1, NTP_CLIENT_ORIGIN, NULL },
	{ "origin of our time", 24, 8, T1, NTP_CLIENT_ORIGIN, NULL },
	{ "no origin", 24, 8, 0, NTP_CLIENT_ORIGIN, NULL },
	{ "mode 0", 0, 1, 0x20, NTP_CLIENT_MODE, NULL },
	{ "mode 1", 0, 1, 0x21, NTP_CLIENT_MODE, NULL },
	{ "mode 2", 0, 1, 0x22, NTP_CLIENT_MODE, NULL },
	{ "mode 3: our own request", 0, 1, 0x23, NTP_CLIENT_MODE, NULL },
	{ "mode 5", 0, 1, 0x25, NTP_CLIENT_MODE, NULL },
	{ "mode 6", 0, 1, 0x26, NTP_CLIENT_MODE, NULL },
	{ "mode 7", 0, 1, 0x27, NTP_CLIENT_MODE, NULL },
	{ "version 0", 0, 1, 0x04, NTP_CLIENT_VERSION, NULL },
	{ "version 1", 0, 1, 0x0c, NTP_CLIENT_VERSION, NULL },
	{ "version 2", 0, 1, 0x14, NTP_CLIENT_VERSION, NULL },
	{ "version 3", 0, 1, 0x1c, NTP_CLIENT_OK, NULL },
	{ "version 5", 0, 1, 0x2c, NTP_CLIENT_VERSION, NULL },
	{ "version 7", 0, 1, 0x3c, NTP_CLIENT_VERSION, NULL },
	{ "leap 3", 0, 1, 0xe4, NTP_CLIENT_LEAP, "INIT" },
	{ "leap 3 of version 3", 0, 1, 0xdc, NTP_CLIENT_LEAP, "INIT" },
	{ "stratum 0", 1, 1, 0, NTP_CLIENT_KISS, "INIT" },
	{ "stratum 15", 1, 1, 15, NTP_CLIENT_STRATUM_LAST, "INIT" },
	{ "stratum 16", 1, 1, 16, NTP_CLIENT_STRATUM, "INIT" },
	{ "stratum 255", 1, 1, 255, NTP_CLIENT_STRATUM, "INIT" },
	{ "no receive time", 32, 8, 0, NTP_CLIENT_NO_TIME, "INIT" },
	{ "no transmit time", 40, 8, 0, NTP_CLIENT_NO_TIME, "INIT" },
	{ "receive after transmit", 32, 8, T1 + 5 * UNIT + 1, NTP_CLIENT_BACKWARDS, "INIT" },
	{ "receive at transmit", 32, 8, T1 + 5 * UNIT, NTP_CLIENT_OK, NULL },
	{ "transmit 68 years on", 40, 8, T1 + 2 * UNIT + INT64_MAX, NTP_CLIENT_OFFSET, "STEP" },
	{ "receive 68 years ago", 32, 8, T1 + 5 * UNIT - INT64_MAX, NTP_CLIENT_OFFSET, "STEP" },
	/* 100/2 + 65478 units, and 4 of dispersion and 6/2 of delay for the way here, are one unit
	 * less than a second. */
	{ "a distance below 1 s", 8, 4, 65478, NTP_CLIENT_OK, NULL },
	{ "a distance of 1 s here", 8, 4, 65479, NTP_CLIENT_DISTANCE, "INIT" },
	{ "a distance of 1 s", 8, 4, 65486, NTP_CLIENT_DISTANCE, "INIT" },
	{ "maximal dispersion", 8, 4, UINT32_MAX, NTP_CLIENT_DISTANCE, "INIT" },
	{ "maximal delay", 4, 4, UINT32_MAX, NTP_CLIENT_DISTANCE, "INIT" },
};

static void every_invalid_reply_has_its_verdict(void **cmocka)
{
	struct clock_state state, unsynchronised;
	uint8_t bytes[NTP_PACKET_SIZE];
	uint32_t kod;

	(void)cmocka;
	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		struct bytes_writer writer = bytes_writer_open(bytes, sizeof(bytes));
		struct bytes_writer change;
		enum ntp_client_verdict verdict;

		ntp_packet_write(&good, &writer);
		change = bytes_writer_open(bytes + changes[i].field, changes[i].width);
		for (size_t byte = changes[i].width; byte > 0; byte--)
			bytes_put_byte(&change, (uint8_t)(changes[i].value >> (8 * (byte - 1))));
		memset(&state, 0xee, sizeof(state));
		verdict = ntp_reference_from_reply(&remote, bytes, sizeof(bytes), &state, &kod);
		if (verdict != changes[i].verdict)
			fail_msg("%s: verdict %d: %s", changes[i].what, verdict,
				 ntp_client_describe(verdict));
		if (changes[i].reason) {
			clock_state_unsynchronised(&unsynchronised,
						   CLOCK_REFERENCE(changes[i].reason[0],
								   changes[i].reason[1],
								   changes[i].reason[2],
								   changes[i].reason[3]));
			assert_same(&state, &unsynchronised);
		} else if (verdict != NTP_CLIENT_OK) {
			assert_int_equal(state.leap, 0xee);
		}
	}
}

static void a_local_server_may_have_stratum_15(void **cmocka)
{
	struct ntp_reference_context here = remote;
	struct ntp_packet packet = good;
	struct clock_state state;

	(void)cmocka;
	here.same_host = true;
	packet.stratum = 15;
	assert_int_equal(evaluate(&here, &packet, &state), NTP_CLIENT_OK);
	assert_int_equal(state.stratum, 15);
}

static void a_reply_without_a_request_is_refused(void **cmocka)
{
	struct ntp_reference_context none = remote;
	struct ntp_packet packet = good;
	struct clock_state state;

	(void)cmocka;
	none.exchange.nonce = 0;
	packet.origin = 0;
	assert_int_equal(evaluate(&none, &packet, &state), NTP_CLIENT_ORIGIN);
}

static void a_reply_has_at_least_48_bytes(void **cmocka)
{
	uint8_t bytes[NTP_PACKET_SIZE + 20] = { 0 };
	struct bytes_writer writer = bytes_writer_open(bytes, sizeof(bytes));
	struct clock_state state;
	uint32_t kod;

	(void)cmocka;
	ntp_packet_write(&good, &writer);
	for (size_t size = 0; size < NTP_PACKET_SIZE; size++)
		assert_int_equal(ntp_reference_from_reply(&remote, bytes, size, &state, &kod),
				 NTP_CLIENT_SHORT);
	/* An authenticator or extension fields may follow. */
	for (size_t size = NTP_PACKET_SIZE; size <= sizeof(bytes); size++)
		assert_int_equal(ntp_reference_from_reply(&remote, bytes, size, &state, &kod),
				 NTP_CLIENT_OK);
}

static void the_code_of_a_kod_is_returned(void **cmocka)
{
	struct ntp_packet packet = { .leap = 3, .version = 4, .mode = 4, .origin = NONCE };
	uint8_t bytes[NTP_PACKET_SIZE];
	struct bytes_writer writer = bytes_writer_open(bytes, sizeof(bytes));
	struct clock_state state;
	uint32_t kod = 0;

	(void)cmocka;
	packet.reference_id = CLOCK_REFERENCE('R', 'A', 'T', 'E');
	ntp_packet_write(&packet, &writer);
	assert_int_equal(ntp_reference_from_reply(&remote, bytes, sizeof(bytes), &state, &kod),
			 NTP_CLIENT_KISS);
	assert_int_equal(kod, 0x52415445);
	assert_false(clock_state_is_synchronised(&state));
}

/* For a server whose clock is ahead by offset, with a round trip of delay. */
static enum ntp_client_verdict evaluate_offset(int64_t offset, int64_t delay,
					       struct clock_state *state)
{
	struct ntp_reference_context context = remote;
	struct ntp_packet packet = good;

	context.exchange.received = T1 + (uint64_t)clock_span_to_ntp(delay);
	packet.receive = T1 + (uint64_t)clock_span_to_ntp(offset + delay / 2);
	packet.transmit = packet.receive;
	return evaluate(&context, &packet, state);
}

static void a_server_with_a_different_clock_is_refused(void **cmocka)
{
	const int64_t ms = CLOCK_MILLISECOND, us = ms / 1000;
	struct clock_state state;

	(void)cmocka;
	for (int sign = -1; sign <= 1; sign += 2) {
		assert_int_equal(evaluate_offset(sign * 127999 * us, 0, &state), NTP_CLIENT_OK);
		assert_int_equal(evaluate_offset(sign * 128001 * us, 0, &state), NTP_CLIENT_OFFSET);
		assert_int_equal(state.reference_id, CLOCK_REFERENCE_STEP);
		/* The limit grows by half the delay. */
		assert_int_equal(evaluate_offset(sign * 177999 * us, 100 * ms, &state),
				 NTP_CLIENT_OK);
		assert_int_equal(evaluate_offset(sign * 178001 * us, 100 * ms, &state),
				 NTP_CLIENT_OFFSET);
		assert_int_equal(evaluate_offset(sign * 3600000 * ms, 1 * ms, &state),
				 NTP_CLIENT_OFFSET);
	}
	/* 50 units of the server; 0.1 s are 6553.6 units, and half of 20 ms are 655.4. */
	assert_int_equal(evaluate_offset(100 * ms, 20 * ms, &state), NTP_CLIENT_OK);
	assert_in_range(state.root_dispersion, 50 + 7208, 50 + 7210);
	assert_in_range(state.root_delay, 100 + 1310, 100 + 1311);
}

static void a_clock_that_was_set_back_gives_no_measurement(void **cmocka)
{
	struct ntp_reference_context context = remote;
	struct clock_state state;

	(void)cmocka;
	context.exchange.received = T1 - 1;
	assert_int_equal(evaluate(&context, &good, &state), NTP_CLIENT_OFFSET);
	context.exchange.received = T1 + INT64_MIN;
	assert_int_equal(evaluate(&context, &good, &state), NTP_CLIENT_OFFSET);
}

/* The time at the server may seem longer than the round trip: clocks are coarse. */
static void a_delay_is_not_negative(void **cmocka)
{
	struct ntp_packet packet = good;
	struct clock_state state;

	(void)cmocka;
	packet.receive = T1 - UNIT;
	packet.transmit = T1 + 10 * UNIT;
	assert_int_equal(evaluate(&remote, &packet, &state), NTP_CLIENT_OK);
	assert_int_equal(state.root_delay, 100);
	assert_int_equal(state.root_dispersion, 50);
}

static void the_exchange_may_cross_an_era(void **cmocka)
{
	struct ntp_reference_context context = remote;
	struct ntp_packet packet = good;
	struct clock_state state;

	(void)cmocka;
	context.exchange.sent = 0 - 3 * UNIT; /* just before 2036-02-07 06:28:16 */
	context.exchange.received = 6 * UNIT;
	packet.receive = 0 - UNIT;
	packet.transmit = 2 * UNIT;
	assert_int_equal(evaluate(&context, &packet, &state), NTP_CLIENT_OK);
	assert_int_equal(state.root_delay, 106);
	assert_int_equal(state.root_dispersion, 54);
}

static void servers_have_a_reference_identifier(void **cmocka)
{
	static const struct {
		const char *host;
		uint32_t expected;
	} rows[] = {
		{ "192.0.2.1", 0xc0000201 },   { "::ffff:192.0.2.1", 0xc0000201 },
		{ "::", 0x69691905 },	       { "::1", 0x68691772 },
		{ "2001:db8::1", 0x6e5b04f4 },
	};
	struct address address;

	(void)cmocka;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_true(address_parse(&address, rows[i].host, 123));
		assert_int_equal(ntp_reference_id(&address), rows[i].expected);
	}
}

static void every_verdict_has_a_description(void **cmocka)
{
	(void)cmocka;
	for (int verdict = NTP_CLIENT_OK; verdict <= NTP_CLIENT_STRATUM_LAST; verdict++)
		assert_non_null(ntp_client_describe((enum ntp_client_verdict)verdict));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_remote_server_gives_the_next_stratum),
		cmocka_unit_test(the_fields_of_a_local_server_are_taken_over),
		cmocka_unit_test(every_invalid_reply_has_its_verdict),
		cmocka_unit_test(a_local_server_may_have_stratum_15),
		cmocka_unit_test(a_reply_without_a_request_is_refused),
		cmocka_unit_test(a_reply_has_at_least_48_bytes),
		cmocka_unit_test(the_code_of_a_kod_is_returned),
		cmocka_unit_test(a_server_with_a_different_clock_is_refused),
		cmocka_unit_test(a_clock_that_was_set_back_gives_no_measurement),
		cmocka_unit_test(a_delay_is_not_negative),
		cmocka_unit_test(the_exchange_may_cross_an_era),
		cmocka_unit_test(servers_have_a_reference_identifier),
		cmocka_unit_test(every_verdict_has_a_description),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
