/* Which datagrams get a reply: sources, the loop guard, the access list and the limits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "server/request/admission.h"

#define SECOND INT64_C(1000000000)
#define START  (7 * SECOND)

static struct service service;
static struct counters counters;
static struct networks networks;
static struct ceiling ceilings[2];
static struct admission admission;

static int begin(void **state)
{
	(void)state;
	memset(&service, 0, sizeof(service));
	memset(&counters, 0, sizeof(counters));
	memset(ceilings, 0, sizeof(ceilings));
	service.ceilings = ceilings;
	service.config.ratelimit.rate = (struct limiter_rate){ .interval = SECOND, .burst = 4 };
	service.config.ratelimit.leak = 4;
	return admission_open(&admission, &service, &counters, &networks) ? 0 : -1;
}

static int end(void **state)
{
	(void)state;
	access_free(&service.config.access);
	admission_close(&admission);
	return 0;
}

static struct address parse(const char *host, uint16_t port)
{
	struct address address;

	assert_true(address_parse(&address, host, port));
	return address;
}

/* Judges a datagram for a protocol at 192.0.2.9 or 2001:db8::9, port 4000. */
static enum drop judge_datagram(struct datagram *datagram, const char *protocol, int64_t now)
{
	bool six = datagram->peer.any.sa_family == AF_INET6;
	struct listener listener = {
		.protocol = protocol_find(protocol),
		.address = parse(six ? "2001:db8::9" : "192.0.2.9", 4000),
	};

	admission_judge(&admission, &listener, datagram, now);
	return datagram->drop;
}

static enum drop judge(const char *protocol, const char *host, uint16_t port)
{
	uint8_t bytes[48] = { 0x23 };
	struct datagram datagram = {
		.peer = parse(host, port),
		.bytes = bytes,
		.size = sizeof(bytes),
	};

	return judge_datagram(&datagram, protocol, START);
}

/* A reply would go to many hosts, to none, or to ourselves. */
static void no_request_comes_from_such_a_source(void **state)
{
	static const char *const bad[] = {
		"0.0.0.0",
		"0.1.2.3",
		"224.0.0.1",
		"239.255.255.255",
		"240.0.0.1",
		"255.255.255.255",
		"::",
		"ff02::1",
		"::ffff:224.0.0.1",
		"::ffff:0.0.0.1",
		"::ffff:255.255.255.255",
	};
	static const char *const good[] = {
		"1.0.0.1", "223.255.255.255", "192.0.2.1", "2001:db8::1", "::ffff:192.0.2.1",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(judge("ntp", bad[i], 5000), DROP_LOOP);
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(judge("ntp", good[i], 5000), DROP_NONE);
		assert_int_equal(judge("ntp", good[i], 0), DROP_LOOP);
	}
}

static void no_request_comes_from_the_listener_itself(void **state)
{
	(void)state;
	assert_int_equal(judge("ntp", "192.0.2.9", 4000), DROP_LOOP);
	assert_int_equal(judge("ntp", "192.0.2.9", 4001), DROP_NONE);
	assert_int_equal(judge("ntp", "2001:db8::9", 4000), DROP_LOOP);
	assert_int_equal(judge("ntp", "2001:db8::9", 4001), DROP_NONE);
}

static void a_datagram_to_a_group_or_in_part_is_dropped(void **state)
{
	uint8_t bytes[48] = { 0x23 };
	struct datagram datagram = {
		.peer = parse("192.0.2.1", 5000),
		.bytes = bytes,
		.size = sizeof(bytes),
		.to_group = true,
	};

	(void)state;
	assert_int_equal(judge_datagram(&datagram, "ntp", START), DROP_LOOP);
	datagram.truncated = true;
	assert_int_equal(judge_datagram(&datagram, "ntp", START), DROP_INVALID);
}

/* Daytime and Time reply to anything, so they reply to no server. */
static void the_loop_guard(void **state)
{
	uint8_t bytes[26] = { 0 };
	struct datagram datagram = {
		.peer = parse("192.0.2.1", 5000),
		.bytes = bytes,
		.size = sizeof(bytes),
	};

	(void)state;
	service.config.ratelimit.scope = CONFIG_RATELIMIT_NONE;
	service.ports[6000 / 8] = 1U << 6000 % 8;
	assert_int_equal(judge("daytime/udp", "192.0.2.1", 1023), DROP_LOOP);
	assert_int_equal(judge("daytime/udp", "192.0.2.1", 1024), DROP_NONE);
	assert_int_equal(judge("time/udp", "192.0.2.1", 6000), DROP_LOOP);
	assert_int_equal(judge("time/udp", "192.0.2.1", 6001), DROP_NONE);
	assert_int_equal(judge("ntp", "192.0.2.1", 123), DROP_NONE);
	assert_int_equal(judge("ntp", "192.0.2.1", 6000), DROP_NONE);
	assert_int_equal(judge_datagram(&datagram, "daytime/udp", START), DROP_NONE);
	bytes[25] = '\n';
	assert_int_equal(judge_datagram(&datagram, "daytime/udp", START), DROP_LOOP);
	datagram.size = 1;
	assert_int_equal(judge_datagram(&datagram, "daytime/udp", START), DROP_NONE);
}

static void all_ports_that_are_served_are_known(void **state)
{
	struct listener items[2] = {
		{ .protocol = protocol_find("ntp"), .address = parse("192.0.2.9", 6000) },
		{ .protocol = protocol_find("http"), .address = parse("2001:db8::9", 6001) },
	};

	(void)state;
	service.ports[0] = 0xff;
	service.listeners = (struct listeners){ .items = items, .count = 2 };
	service_update_ports(&service);
	for (unsigned port = 0; port < 65536; port++)
		assert_int_equal(service_has_port(&service, (uint16_t)port),
				 port == 6000 || port == 6001);
}

/* A peer on the list gets a KoD a second, if the protocol has one. */
static void a_denied_peer_is_told_once_a_second(void **state)
{
	uint8_t bytes[48] = { 0x23 };
	struct datagram datagram = {
		.peer = parse("192.0.2.1", 5000),
		.bytes = bytes,
		.size = sizeof(bytes),
	};
	struct access_prefix prefix;

	(void)state;
	service.config.ratelimit.scope = CONFIG_RATELIMIT_NONE;
	assert_true(access_prefix_parse(&prefix, "192.0.2.0/24"));
	assert_true(access_add(&service.config.access, &prefix, false));
	assert_true(access_build(&service.config.access));
	assert_int_equal(judge_datagram(&datagram, "ntp", START), DROP_NONE);
	assert_int_equal(datagram.kod, PROTOCOL_KOD_DENY);
	for (int i = 1; i < 10; i++)
		assert_int_equal(judge_datagram(&datagram, "ntp", START + i), DROP_DENIED);
	assert_int_equal(judge_datagram(&datagram, "ntp", START + SECOND), DROP_NONE);
	assert_int_equal(datagram.kod, PROTOCOL_KOD_DENY);
	assert_int_equal(judge("daytime/udp", "192.0.2.200", 5000), DROP_DENIED);
	assert_int_equal(judge("ntp", "192.0.3.1", 5000), DROP_NONE);
}

struct above {
	unsigned replies, kods, drops;
};

/* What 4000 requests at one time above the rate get. */
static struct above above_the_rate(const char *protocol)
{
	uint8_t bytes[48] = { 0x23 };
	struct datagram datagram = {
		.peer = parse("192.0.2.1", 5000),
		.bytes = bytes,
		.size = sizeof(bytes),
	};
	struct above above = { 0 };

	for (int i = 0; i < 4; i++) {
		assert_int_equal(judge_datagram(&datagram, protocol, START), DROP_NONE);
		assert_int_equal(datagram.kod, PROTOCOL_KOD_NONE);
	}
	for (int i = 0; i < 4000; i++) {
		enum drop drop = judge_datagram(&datagram, protocol, START);

		above.replies += drop == DROP_NONE && datagram.kod == PROTOCOL_KOD_NONE;
		above.kods += drop == DROP_NONE && datagram.kod == PROTOCOL_KOD_RATE;
		above.drops += drop == DROP_LIMITED;
	}
	return above;
}

/* 1 in 4 gets a reply, so that a forger cannot silence a client; 1 in 4 of these is a KoD. */
static void above_the_rate_ntp_replies_to_some(void **state)
{
	struct above above;

	(void)state;
	service.config.ratelimit.scope = CONFIG_RATELIMIT_ALL;
	above = above_the_rate("ntp");
	assert_int_equal(above.replies + above.kods + above.drops, 4000);
	assert_in_range(above.replies, 600, 900);
	assert_in_range(above.kods, 170, 330);
}

static void without_a_leak_it_replies_to_none(void **state)
{
	(void)state;
	service.config.ratelimit.scope = CONFIG_RATELIMIT_ALL;
	service.config.ratelimit.leak = 0;
	assert_int_equal(above_the_rate("ntp").drops, 4000);
}

static void above_the_rate_daytime_replies_to_none(void **state)
{
	(void)state;
	assert_int_equal(above_the_rate("daytime/udp").drops, 4000);
	assert_int_equal(counter_read(&counters.own_limited), 0);
}

/* By default NTP has no limit, since clients behind one address are many. */
static void scopes_of_the_limit(void **state)
{
	(void)state;
	for (int i = 0; i < 100; i++)
		assert_int_equal(judge("ntp", "192.0.2.1", 5000), DROP_NONE);
	service.config.ratelimit.scope = CONFIG_RATELIMIT_NONE;
	for (int i = 0; i < 100; i++)
		assert_int_equal(judge("time/udp", "192.0.2.1", 5000), DROP_NONE);
}

/* Of requests from 100 networks: 198.51.0.1, 198.51.1.1 and so on. */
static unsigned drops_of(const char *network, enum drop wanted)
{
	char host[64];
	unsigned drops = 0;

	for (unsigned i = 0; i < 100; i++) {
		snprintf(host, sizeof(host), "%s.%u.1", network, i);
		drops += judge("time/udp", host, 5000) == wanted;
	}
	return drops;
}

/* A flood from forged addresses takes nothing from own networks. */
static void own_networks_have_a_ceiling_of_their_own(void **state)
{
	(void)state;
	service.config.ceiling = 10;
	assert_int_equal(drops_of("198.51", DROP_CEILING), 90);
	assert_int_equal(counter_read(&counters.own_limited), 0);
	assert_int_equal(drops_of("10.0", DROP_CEILING), 90);
	assert_int_equal(counter_read(&counters.own_limited), 90);
	service.config.ratelimit.scope = CONFIG_RATELIMIT_ALL;
	assert_int_equal(judge("ntp", "203.0.113.1", 5000), DROP_NONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(no_request_comes_from_such_a_source, begin, end),
		cmocka_unit_test_setup_teardown(no_request_comes_from_the_listener_itself, begin,
						end),
		cmocka_unit_test_setup_teardown(a_datagram_to_a_group_or_in_part_is_dropped, begin,
						end),
		cmocka_unit_test_setup_teardown(the_loop_guard, begin, end),
		cmocka_unit_test_setup_teardown(all_ports_that_are_served_are_known, begin, end),
		cmocka_unit_test_setup_teardown(a_denied_peer_is_told_once_a_second, begin, end),
		cmocka_unit_test_setup_teardown(above_the_rate_ntp_replies_to_some, begin, end),
		cmocka_unit_test_setup_teardown(without_a_leak_it_replies_to_none, begin, end),
		cmocka_unit_test_setup_teardown(above_the_rate_daytime_replies_to_none, begin, end),
		cmocka_unit_test_setup_teardown(scopes_of_the_limit, begin, end),
		cmocka_unit_test_setup_teardown(own_networks_have_a_ceiling_of_their_own, begin,
						end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
