/* The offset and its bound: Time, NTP, several samples, several servers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "client/query.h"
#include "client/result.h"
#include "client/udp.h"
#include "clock/clock.h"

#define NOW   INT64_C(1795374908) /* 2026-11-22 19:15:08 UTC */
#define EPOCH UINT32_C(2208988800)
#define MS    CLOCK_MILLISECOND
#define NONCE UINT64_C(0x0123456789abcdef)

/* Received at half past the second, 100 ms after the request. */
static struct sample sample_at(int64_t here)
{
	return (struct sample){
		.local_time = { .tv_sec = here, .tv_nsec = 500 * MS },
		.delay = 100 * MS,
	};
}

static void put_32(uint8_t bytes[static 4], uint32_t number)
{
	for (int i = 0; i < 4; i++)
		bytes[i] = (uint8_t)(number >> (24 - 8 * i));
}

/*
 *  0                   1                   2                   3
 *  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 * +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 * |        seconds since 1900-01-01 00:00:00 UTC, modulo 2^32     |
 * +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 */
static void time_gives_offset(void **state)
{
	struct sample sample = sample_at(NOW);
	uint8_t bytes[4];

	(void)state;
	put_32(bytes, NOW + EPOCH);
	assert_true(query_time_parse(&sample, bytes, sizeof(bytes)));
	assert_true(sample.valid && sample.has_offset);
	assert_int_equal(sample.server_time.tv_sec, NOW);
	/* The second began 450 ms before the middle of the exchange at the most. */
	assert_int_equal(sample.offset, 50 * MS);
	assert_int_equal(sample.bound, 550 * MS);
}

static void time_has_eras(void **state)
{
	static const struct {
		int64_t here, there;
	} cases[] = {
		{ 2085978495, 2085978495 }, /* 2036-02-07 06:28:15, the last second of the first */
		{ 2085978495, 2085978496 },
		{ 2085978496, 2085978495 },
		{ 2085978500, 2085978500 },
		{ 2147483648, 2147483647 },
		{ 4294967296, 4294967296 },
		{ 0, 0 },
		{ 5, -5 },
		{ NOW, NOW + INT32_MAX },
		{ NOW, NOW + INT32_MIN },
		{ INT64_C(253402300800), INT64_C(253402300800) },
	};
	uint8_t bytes[4];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct sample sample = sample_at(cases[i].here);

		put_32(bytes, (uint32_t)cases[i].there + EPOCH);
		assert_true(query_time_parse(&sample, bytes, sizeof(bytes)));
		assert_int_equal(sample.server_time.tv_sec, cases[i].there);
	}
}

static void time_has_four_bytes(void **state)
{
	static const uint8_t bytes[16] = { 0, 0, 0, 0, 0xee, 0xad, 'x', 'y' };
	struct sample sample = sample_at(NOW);

	(void)state;
	for (size_t size = 0; size <= sizeof(bytes); size++)
		assert_int_equal(query_time_parse(&sample, bytes, size), size == 4);
	query_time_parse(&sample, bytes, 8);
	assert_string_equal(sample.error,
			    "reply has 8 bytes instead of 4, as from inetutils-inetd: "
			    "\"\\x00\\x00\\x00\\x00\\xee\\xadxy\"");
	query_time_parse(&sample, bytes, 0);
	assert_string_equal(sample.error, "empty reply");
	query_time_parse(&sample, bytes, 5);
	assert_string_equal(sample.error, "reply is not 4 bytes: \"\\x00\\x00\\x00\\x00\\xee\"");
}

/* RFC 9109: only the version, the mode and a random transmit time. */
static void ntp_request_discloses_nothing(void **state)
{
	static const uint8_t expected[48] = {
		/* leap 0, version 4, mode 3 */
		[0] = 0x23,
		/* transmit */
		[40] = 0x01,
		0x23,
		0x45,
		0x67,
		0x89,
		0xab,
		0xcd,
		0xef,
	};
	uint8_t bytes[UDP_REQUEST_MAX];
	struct bytes_writer writer = bytes_writer_open(bytes, sizeof(bytes));

	(void)state;
	query_ntp_protocol.write_request(&writer, NONCE);
	assert_int_equal(bytes_written(&writer), sizeof(expected));
	assert_memory_equal(bytes, expected, sizeof(expected));
}

static struct timespec at(int64_t milliseconds)
{
	return (struct timespec){ NOW + milliseconds / 1000, milliseconds % 1000 * MS };
}

static clock_ntp_time ntp_at(int64_t milliseconds)
{
	struct timespec time = at(milliseconds);

	return clock_to_ntp(&time);
}

/* Sent at 0 ms and received at 40 ms, by a server 1000 ms ahead: 10 ms there, 5 ms at the server,
 * 25 ms back. */
static struct ntp_packet good_packet(void)
{
	return (struct ntp_packet){
		.version = 4,
		.mode = NTP_MODE_SERVER,
		.stratum = 2,
		.root_delay = CLOCK_SHORT_SECOND / 8,	   /* 125 ms */
		.root_dispersion = CLOCK_SHORT_SECOND / 4, /* 250 ms */
		.reference = ntp_at(-5000),
		.origin = NONCE,
		.receive = ntp_at(1010),
		.transmit = ntp_at(1015),
	};
}

static enum udp_verdict check_reply(const struct ntp_packet *packet, size_t size,
				    struct sample *sample, const char **reason)
{
	uint8_t bytes[NTP_PACKET_SIZE];
	struct bytes_writer writer = bytes_writer_open(bytes, sizeof(bytes));
	struct udp_reply reply = {
		.nonce = NONCE,
		.sent = at(0),
		.received = at(40),
		.bytes = bytes,
		.size = size,
	};

	*sample = (struct sample){ .valid = false };
	*reason = NULL;
	ntp_packet_write(packet, &writer);
	return query_ntp_protocol.check(&reply, sample, reason);
}

static void ntp_gives_offset_and_bound(void **state)
{
	struct ntp_packet packet = good_packet();
	struct sample sample;
	const char *reason;

	(void)state;
	assert_int_equal(check_reply(&packet, NTP_PACKET_SIZE, &sample, &reason), UDP_ACCEPTED);
	assert_true(sample.valid && sample.has_offset && sample.is_ntp);
	/* (1010 + 975) / 2, 40 - 5, 35 / 2 + 125 / 2 + 250 */
	assert_in_range(sample.offset, 992500 * MS / 1000 - 2, 992500 * MS / 1000 + 2);
	assert_in_range(sample.delay, 35 * MS - 2, 35 * MS + 2);
	assert_in_range(sample.bound, 330 * MS, 330 * MS + 4);
	assert_int_equal(sample.server_time.tv_sec, NOW + 1);
	assert_in_range(sample.server_time.tv_nsec, 32500 * MS / 1000 - 2, 32500 * MS / 1000 + 2);
	assert_int_equal(sample.packet.stratum, 2);
}

static void ntp_rejects_by_name(void **state)
{
	struct ntp_packet packet;
	struct sample sample;
	const char *reason;

	(void)state;
#define EXPECT(change, verdict, name)                                                       \
	packet = good_packet();                                                             \
	change;                                                                             \
	assert_int_equal(check_reply(&packet, NTP_PACKET_SIZE, &sample, &reason), verdict); \
	assert_string_equal(reason, name);                                                  \
	assert_false(sample.valid)
	EXPECT(packet.origin ^= 1, UDP_REJECTED, "wrong origin");
	EXPECT(packet.origin = 0, UDP_REJECTED, "wrong origin");
	EXPECT(packet.mode = 3, UDP_REJECTED, "wrong mode");
	EXPECT(packet.mode = 5, UDP_REJECTED, "wrong mode");
	EXPECT(packet.version = 2, UDP_REJECTED, "wrong version");
	EXPECT(packet.stratum = 0, UDP_UNUSABLE, "kiss-o'-death");
	assert_string_equal(sample.error, "not synchronised (stratum 0)");
	EXPECT(packet.stratum = 0; packet.reference_id = CLOCK_REFERENCE('R', 'A', 'T', 'E'),
				   UDP_UNUSABLE, "kiss-o'-death");
	assert_string_equal(sample.error, "kiss-o'-death with code RATE");
	EXPECT(packet.stratum = 0; packet.reference_id = CLOCK_REFERENCE(27, 'c', 200, 0),
				   UDP_UNUSABLE, "kiss-o'-death");
	assert_string_equal(sample.error, "kiss-o'-death with code \\x1bc\\xc8");
	EXPECT(packet.leap = 3, UDP_UNUSABLE, "not synchronised (leap 3)");
	assert_string_equal(sample.error, "not synchronised (leap 3)");
	EXPECT(packet.stratum = 16, UDP_UNUSABLE, "not synchronised (stratum above 15)");
	EXPECT(packet.receive = 0, UDP_UNUSABLE, "missing timestamp");
	EXPECT(packet.transmit = 0, UDP_UNUSABLE, "missing timestamp");
	EXPECT(packet.transmit = packet.receive - 1, UDP_UNUSABLE,
	       "transmit time before receive time");
	/* A kiss-o'-death needs the right origin, too. */
	EXPECT(packet.stratum = 0; packet.origin = 1, UDP_REJECTED, "wrong origin");
	packet = good_packet();
	for (size_t size = 0; size < NTP_PACKET_SIZE; size++) {
		assert_int_equal(check_reply(&packet, size, &sample, &reason), UDP_REJECTED);
		assert_string_equal(reason, "too short");
	}
}

static void ntp_accepts_large_root_distance(void **state)
{
	struct ntp_packet packet = good_packet();
	struct sample sample;
	const char *reason;

	(void)state;
	packet.root_dispersion = 3 * CLOCK_SHORT_SECOND;
	assert_int_equal(check_reply(&packet, NTP_PACKET_SIZE, &sample, &reason), UDP_ACCEPTED);
	assert_in_range(sample.bound, 3080 * MS, 3080 * MS + 4);
}

static struct sample make_sample(int64_t offset, int64_t delay)
{
	return (struct sample){
		.valid = true,
		.has_offset = true,
		.offset = offset,
		.bound = delay / 2,
		.delay = delay,
	};
}

static void best_sample_has_least_delay(void **state)
{
	struct sample samples[] = { make_sample(7, 30),
				    make_sample(-5, 20),
				    make_sample(9, 20),
				    { .valid = false },
				    make_sample(1, 40) };
	struct sample_series series = { .queries = 0 };

	(void)state;
	sample_reject(&samples[0], "wrong origin");
	sample_reject(&samples[3], "wrong origin");
	sample_fail(&samples[3], "lost");
	for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++)
		sample_series_add(&series, &samples[i]);
	assert_int_equal(series.queries, 5);
	assert_int_equal(series.replies, 4);
	assert_int_equal(series.best.offset, -5);
	assert_int_equal(sample_series_spread(&series), 14);
	assert_int_equal(series.best.rejected[0].count, 2);
	assert_null(series.best.rejected[1].reason);
}

static void valid_sample_beats_invalid(void **state)
{
	struct sample text = { .valid = true, .text = "noon" }, none = { .valid = false };
	struct sample_series series = { .queries = 0 };

	(void)state;
	sample_fail(&none, "first");
	sample_series_add(&series, &none);
	assert_string_equal(series.best.error, "first");
	sample_fail(&none, "second");
	sample_series_add(&series, &none);
	assert_string_equal(series.best.error, "second");
	sample_series_add(&series, &text);
	sample_series_add(&series, &none);
	assert_string_equal(series.best.text, "noon");
	assert_int_equal(sample_series_spread(&series), 0);
}

static void majority_intersects(void **state)
{
	static const struct {
		struct result_interval intervals[5];
		size_t count, agreeing;
		struct result_interval common;
	} cases[] = {
		{ { { 8, 12 }, { 11, 13 }, { 14, 15 } }, 3, 2, { 11, 12 } },
		{ { { 8, 12 }, { 11, 13 }, { 10, 12 } }, 3, 3, { 11, 12 } },
		{ { { 8, 9 }, { 8, 12 }, { 10, 12 } }, 3, 2, { 8, 9 } },
		{ { { 1, 1 }, { 1, 1 } }, 2, 2, { 1, 1 } },
		{ { { 0, 1 }, { 1, 2 } }, 2, 2, { 1, 1 } },
		{ { { 0, 1 }, { 2, 3 } }, 2, 1, { 0, 1 } },
		{ { { INT64_MIN, INT64_MAX }, { -1, 1 } }, 2, 2, { -1, 1 } },
		{ { { 3, 4 } }, 1, 1, { 3, 4 } },
	};
	struct result_interval common;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(result_intersect(cases[i].intervals, cases[i].count, &common),
				 cases[i].agreeing);
		assert_int_equal(common.low, cases[i].common.low);
		assert_int_equal(common.high, cases[i].common.high);
	}
	assert_int_equal(result_intersect(NULL, 0, &common), 0);
}

static void falseticker_is_outside_majority(void **state)
{
	struct result results[4] = { 0 };
	struct result_agreement agreement;

	(void)state;
	results[0].series.best = make_sample(10, 8);  /* 6..14 */
	results[1].series.best = make_sample(90, 20); /* 80..100 */
	results[2].series.best = make_sample(12, 4);  /* 10..14 */
	agreement = result_compare(results, 4);	      /* the last one has no sample */
	assert_int_equal(agreement.total, 3);
	assert_int_equal(agreement.agreeing, 2);
	assert_int_equal(agreement.offset, 12);
	assert_int_equal(agreement.bound, 2);
	assert_true(!results[0].falseticker && results[1].falseticker);
	assert_true(!results[2].falseticker && !results[3].falseticker);

	/* One against one: no majority. */
	agreement = result_compare(results + 1, 2);
	assert_int_equal(agreement.agreeing, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(time_gives_offset),
		cmocka_unit_test(time_has_eras),
		cmocka_unit_test(time_has_four_bytes),
		cmocka_unit_test(ntp_request_discloses_nothing),
		cmocka_unit_test(ntp_gives_offset_and_bound),
		cmocka_unit_test(ntp_rejects_by_name),
		cmocka_unit_test(ntp_accepts_large_root_distance),
		cmocka_unit_test(best_sample_has_least_delay),
		cmocka_unit_test(valid_sample_beats_invalid),
		cmocka_unit_test(majority_intersects),
		cmocka_unit_test(falseticker_is_outside_majority),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
