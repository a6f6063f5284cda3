/* Replies of NTP and Time, byte for byte.
 *
 *	 0 leap, version, mode	stratum	poll	precision
 *	 4 root delay
 *	 8 root dispersion
 *	12 reference identifier
 *	16 reference time
 *	24 origin: the transmit time of the request, unchanged
 *	32 receive
 *	40 transmit
 *	48 extension fields: type, length, value
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "protocol/ntp_packet.h"
#include "protocol/protocol.h"

#define SIZE_MAX_TRIED 160

static const struct clock_state state = {
	.leap = CLOCK_LEAP_INSERT,
	.stratum = 3,
	.reference_id = 0xc0000201,
	.reference_time = 0xee00112233445566,
	.root_delay = 0x00000123,
	.root_dispersion = 0x00000456,
};

/* Prepares and writes a reply to a request; returns its size, 0: no reply. */
static size_t serve(const uint8_t *bytes, size_t size, uint16_t port, enum protocol_kod kod,
		    uint8_t reply[static PROTOCOL_REPLY_MAX])
{
	const struct protocol_request request = {
		.bytes = bytes,
		.size = size,
		.peer_port = port,
		.kod = kod,
		.clock = &state,
		.receive = 0xee00112300000001,
		.transmit = 0xee00112300000002,
		.precision = -24,
	};
	const struct protocol *ntp = protocol_find("ntp");
	struct bytes_writer writer = bytes_writer_open(reply, PROTOCOL_REPLY_MAX);

	if (!ntp->prepare(&request))
		return 0;
	ntp->reply(&request, &writer);
	return bytes_written(&writer);
}

static void request_make(uint8_t bytes[static SIZE_MAX_TRIED], unsigned version, unsigned mode)
{
	static const uint8_t transmit[8] = { 0xde, 0xad, 0xbe, 0xef, 1, 2, 3, 4 };

	memset(bytes, 0, SIZE_MAX_TRIED);
	bytes[0] = (uint8_t)(version << 3 | mode);
	bytes[2] = 6;
	memcpy(bytes + 40, transmit, sizeof(transmit));
}

static void exact_bytes(void **unused)
{
	static const uint8_t expected[NTP_PACKET_SIZE] = {
		0x64, 3,    6,	  0xe8,				/* leap 1, version 4, mode 4 */
		0,    0,    0x01, 0x23, 0,    0,    0x04, 0x56, /* root delay, dispersion */
		0xc0, 0,    0x02, 0x01,				/* 192.0.2.1 */
		0xee, 0,    0x11, 0x22, 0x33, 0x44, 0x55, 0x66, /* reference */
		0xde, 0xad, 0xbe, 0xef, 1,    2,    3,	  4,	/* origin */
		0xee, 0,    0x11, 0x23, 0,    0,    0,	  1,	/* receive */
		0xee, 0,    0x11, 0x23, 0,    0,    0,	  2,	/* transmit */
	};
	uint8_t bytes[SIZE_MAX_TRIED], reply[PROTOCOL_REPLY_MAX];

	(void)unused;
	request_make(bytes, 4, NTP_MODE_CLIENT);
	assert_int_equal(serve(bytes, NTP_PACKET_SIZE, 5000, PROTOCOL_KOD_NONE, reply), 48);
	assert_memory_equal(reply, expected, sizeof(expected));
}

static void kod_replies(void **unused)
{
	uint8_t bytes[SIZE_MAX_TRIED], reply[PROTOCOL_REPLY_MAX];

	(void)unused;
	request_make(bytes, 3, NTP_MODE_CLIENT);
	assert_int_equal(serve(bytes, NTP_PACKET_SIZE, 5000, PROTOCOL_KOD_RATE, reply), 48);
	assert_memory_equal(reply, "\xdc\0\6\xe8\0\0\0\0\0\0\0\0RATE\0\0\0\0\0\0\0\0\xde\xad\xbe",
			    27);
	assert_int_equal(serve(bytes, NTP_PACKET_SIZE, 5000, PROTOCOL_KOD_DENY, reply), 48);
	assert_memory_equal(reply + 12, "DENY", 4);
}

/* The mode of the reply to a request of 48 bytes; 0: no reply. */
static unsigned expected_mode(unsigned version, unsigned mode, uint16_t port)
{
	if (version < 1 || version > 4)
		return 0;
	if (mode == 3)
		return 4;
	if (mode == 1)
		return 2;
	return mode == 0 && version == 1 && port != 123 ? 4 : 0;
}

static void versions_modes_and_ports(void **unused)
{
	static const uint16_t ports[] = { 1, 123, 1023, 1024, 65535 };
	uint8_t bytes[SIZE_MAX_TRIED], reply[PROTOCOL_REPLY_MAX];

	(void)unused;
	for (unsigned i = 0; i < 8 * 8 * 5; i++) {
		unsigned version = i / 8 % 8, mode = i % 8, wanted;
		uint16_t port = ports[i / 64];

		request_make(bytes, version, mode);
		wanted = expected_mode(version, mode, port);
		assert_int_equal(serve(bytes, 48, port, PROTOCOL_KOD_NONE, reply), wanted ? 48 : 0);
		if (wanted)
			assert_int_equal(reply[0], 0x40 | version << 3 | wanted);
	}
}

static bool gets_reply(const uint8_t *bytes, size_t size)
{
	uint8_t reply[PROTOCOL_REPLY_MAX];

	return serve(bytes, size, 5000, PROTOCOL_KOD_NONE, reply) == 48;
}

/* Writes an extension field of an unknown type. */
static void extend(uint8_t *bytes, size_t offset, unsigned length)
{
	bytes[offset] = 0xbe;
	bytes[offset + 2] = (uint8_t)(length >> 8);
	bytes[offset + 3] = (uint8_t)length;
}

static void lengths_without_fields(void **unused)
{
	uint8_t bytes[SIZE_MAX_TRIED];

	(void)unused;
	for (unsigned version = 1; version <= 4; version++) {
		for (size_t size = 0; size <= SIZE_MAX_TRIED; size++) {
			request_make(bytes, version, NTP_MODE_CLIENT);
			assert_int_equal(gets_reply(bytes, size), size == 48);
		}
	}
}

static void extension_fields(void **unused)
{
	uint8_t bytes[SIZE_MAX_TRIED];

	(void)unused;
	for (unsigned length = 0; length <= 112; length++) {
		request_make(bytes, 4, NTP_MODE_CLIENT);
		extend(bytes, 48, length);
		assert_int_equal(gets_reply(bytes, 48 + length),
				 length == 0 || (length >= 28 && length % 4 == 0));
		assert_false(
			gets_reply(bytes,
				   48 + length + 4)); /* an authenticator of 4, or a field of 0 */
		if (length > 1)
			assert_false(gets_reply(bytes, 48 + length - 1));
	}
	request_make(bytes, 4, NTP_MODE_CLIENT);
	extend(bytes, 48, 16);
	extend(bytes, 64, 28);
	assert_true(gets_reply(bytes, 92));
	assert_false(gets_reply(bytes, 64));	  /* 16 bytes could be an authenticator: RFC 7822 */
	assert_false(gets_reply(bytes, 92 + 20)); /* so could 20 bytes after the fields */
	request_make(bytes, 4, NTP_MODE_CLIENT);
	extend(bytes, 48, 12);
	extend(bytes, 60, 28);
	assert_false(gets_reply(bytes, 88)); /* a field has 16 bytes or more */
	request_make(bytes, 3, NTP_MODE_CLIENT);
	extend(bytes, 48, 28);
	assert_false(gets_reply(bytes, 76)); /* no extension fields before version 4 */
}

static void no_reply_is_longer_than_its_request(void **unused)
{
	uint8_t bytes[SIZE_MAX_TRIED], reply[PROTOCOL_REPLY_MAX];

	(void)unused;
	srandom(5905);
	for (int i = 0; i < 1000000; i++) {
		size_t size = (size_t)random() % (SIZE_MAX_TRIED + 1), length;

		request_make(bytes, 4, NTP_MODE_CLIENT);
		for (long changes = random() % 8; changes > 0; changes--)
			bytes[random() % SIZE_MAX_TRIED] = (uint8_t)random();
		length = serve(bytes, size, (uint16_t)random(), (enum protocol_kod)(random() % 3),
			       reply);
		assert_true(length == 0 || (length == 48 && length <= size));
	}
}

static void time_wraps_at_2_to_the_32(void **unused)
{
	static const struct {
		time_t seconds;
		const char *bytes;
	} cases[] = {
		{ 0, "\x83\xaa\x7e\x80" },	    /* 1970-01-01, as RFC 868 has it */
		{ -2208988800, "\0\0\0\0" },	    /* 1900-01-01 */
		{ 2085978495, "\xff\xff\xff\xff" }, /* 2036-02-07 06:28:15 */
		{ 2085978496, "\0\0\0\0" },	    /* 06:28:16 */
		{ 2085978497, "\0\0\0\1" },
		{ 2147483647, "\x03\xaa\x7e\x7f" }, /* 2038-01-19 03:14:07 */
		{ 2147483648, "\x03\xaa\x7e\x80" },
		{ 253402300800, "\x83\x9e\xc0\0" } /* the year 10000 */
	};

	(void)unused;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct clock_second second = { .seconds = cases[i].seconds };
		const struct protocol_request request = { .now = &second };
		uint8_t bytes[8];
		struct bytes_writer reply = bytes_writer_open(bytes, sizeof(bytes));

		time_reply(&request, &reply);
		assert_int_equal(bytes_written(&reply), 4);
		assert_memory_equal(bytes, cases[i].bytes, 4);
	}
}

static void replies_are_recognised(void **unused)
{
	uint8_t bytes[SIZE_MAX_TRIED];

	(void)unused;
	for (int mode = 0; mode < 8; mode++) {
		uint8_t packet[NTP_PACKET_SIZE] = { (uint8_t)(4 << 3 | mode) };

		assert_int_equal(protocol_is_reply(packet, sizeof(packet)),
				 mode == NTP_MODE_SERVER || mode == NTP_MODE_PASSIVE);
	}
	assert_true(protocol_is_reply("Sun Nov 22 19:15:08 2026\r\n", 26));
	assert_true(protocol_is_reply("22 NOV 2026 19:15:08 UTC\r\n", 26));
	assert_false(protocol_is_reply("what is the time\0", 17));
	assert_false(protocol_is_reply("\n", 1));
	assert_false(protocol_is_reply("", 0));
	assert_true(protocol_is_reply("Sun Nov 22 19:15:08 2026\n\r", 26));
	assert_true(protocol_is_reply("Sun Nov 22 19:15:08 2026", 24));
	assert_false(protocol_is_reply("is it 1:5 or 1:6: ?", 18));
	assert_true(protocol_is_reply("what time is it? 9:05", 21));
	assert_true(protocol_is_reply("\x83\xaa\x7e\x80", 4));
	assert_true(protocol_is_reply("\0\0\0\0", 4));
	assert_true(protocol_is_reply("\0\0\0\0\x83\xaa\x7e\x80", 8));
	assert_false(protocol_is_reply("\0\0\0\0\0", 5));
	request_make(bytes, 4, NTP_MODE_SERVER);
	assert_true(protocol_is_reply(bytes, NTP_PACKET_SIZE));
	assert_false(protocol_is_reply(bytes, NTP_PACKET_SIZE + 4));
	request_make(bytes, 4, NTP_MODE_CLIENT);
	assert_false(protocol_is_reply(bytes, NTP_PACKET_SIZE));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(exact_bytes),
		cmocka_unit_test(kod_replies),
		cmocka_unit_test(versions_modes_and_ports),
		cmocka_unit_test(lengths_without_fields),
		cmocka_unit_test(extension_fields),
		cmocka_unit_test(no_reply_is_longer_than_its_request),
		cmocka_unit_test(time_wraps_at_2_to_the_32),
		cmocka_unit_test(replies_are_recognised),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
