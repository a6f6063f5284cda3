/* Own networks and their limits, and the ceiling of all networks together. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/ceiling.h"
#include "base/limiter.h"
#include "base/networks.h"

#define SECOND INT64_C(1000000000)

static struct address parse(const char *host)
{
	struct address address;

	assert_true(address_parse(&address, host, 123));
	return address;
}

static bool contain(const struct networks *networks, const char *host)
{
	struct address address = parse(host);

	return networks_contain(networks, &address);
}

static void add(struct networks *networks, const char *host, unsigned length)
{
	struct address address = parse(host);

	if (address.any.sa_family == AF_INET)
		networks_add(networks, AF_INET, &address.ip4.sin_addr, length);
	else
		networks_add(networks, AF_INET6, &address.ip6.sin6_addr, length);
}

/* The first and last addresses of each network, and those beside them. */
static void private_addresses(void **state)
{
	static const char *const inside[] = {
		"10.0.0.0",    "10.255.255.255",  "172.16.0.0",	 "172.31.255.255",
		"192.168.0.0", "192.168.255.255", "169.254.0.0", "169.254.255.255",
		"127.0.0.0",   "127.255.255.255", "fc00::",	 "::1",
		"fe80::",      "febf:ffff::ffff", "fdff::ffff",	 "::ffff:10.0.0.1",
	};
	static const char *const outside[] = {
		"9.255.255.255",
		"11.0.0.0",
		"172.15.255.255",
		"172.32.0.0",
		"192.167.255.1",
		"192.169.0.0",
		"169.253.255.1",
		"169.255.0.0",
		"126.255.255.1",
		"128.0.0.0",
		"fbff::1",
		"fe00::",
		"fe7f:ffff::1",
		"fec0::",
		"::2",
		"::ffff:11.0.0.1",
		"100.64.0.1",
		"192.0.2.1",
		"2001:db8::1",
		"::",
	};
	struct networks networks = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(inside) / sizeof(inside[0]); i++)
		assert_true(contain(&networks, inside[i]));
	for (size_t i = 0; i < sizeof(outside) / sizeof(outside[0]); i++)
		assert_false(contain(&networks, outside[i]));
}

static void group_addresses(void **state)
{
	static const struct {
		const char *host;
		bool is_group;
	} cases[] = {
		{ "224.0.0.1", true },	      { "239.255.255.255", true },
		{ "223.255.255.255", false }, { "240.0.0.1", false },
		{ "255.255.255.255", true },  { "255.255.255.254", false },
		{ "ff02::1", true },	      { "ff00::", true },
		{ "feff::1", false },	      { "::ffff:224.0.0.1", true },
		{ "::ffff:10.0.0.1", false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct address address = parse(cases[i].host);

		assert_int_equal(address_is_group(&address), cases[i].is_group);
	}
}

static void networks_of_interfaces(void **state)
{
	struct networks networks = { 0 };

	(void)state;
	assert_false(contain(&networks, "198.51.100.7"));
	add(&networks, "198.51.100.200", 25);
	add(&networks, "198.51.100.200", 25); /* once is enough */
	add(&networks, "203.0.113.9", 32);
	add(&networks, "2001:db8:1:2::77", 64);
	add(&networks, "2001:db8:f::8000", 113);
	add(&networks, "2001:db8::ffff", 128);
	assert_int_equal(networks.ip4_count, 2);
	assert_int_equal(networks.ip6_count, 3);
	assert_true(contain(&networks, "198.51.100.128"));
	assert_true(contain(&networks, "::ffff:198.51.100.255"));
	assert_false(contain(&networks, "198.51.100.127"));
	assert_false(contain(&networks, "198.51.101.0"));
	assert_true(contain(&networks, "203.0.113.9"));
	assert_false(contain(&networks, "203.0.113.8"));
	assert_true(contain(&networks, "2001:db8:1:2::"));
	assert_true(contain(&networks, "2001:db8:1:2:ffff:ffff:ffff:ffff"));
	assert_false(contain(&networks, "2001:db8:1:3::"));
	assert_true(contain(&networks, "2001:db8:f::ffff"));
	assert_false(contain(&networks, "2001:db8:f::7fff"));
	assert_true(contain(&networks, "2001:db8::ffff"));
	assert_false(contain(&networks, "2001:db8::fffe"));
}

/* A prefix of no bits would make every address an own one. */
static void lengths_and_room_are_checked(void **state)
{
	struct networks networks = { 0 };
	char host[32];

	(void)state;
	add(&networks, "198.51.100.1", 0);
	add(&networks, "198.51.100.1", 33);
	add(&networks, "2001:db8::1", 0);
	add(&networks, "2001:db8::1", 129);
	networks_add(&networks, AF_UNIX, "0123456789abcdef", 8);
	assert_int_equal(networks.ip4_count + networks.ip6_count, 0);
	for (int i = 0; i < NETWORKS_MAX + 2; i++) {
		snprintf(host, sizeof(host), "198.51.%d.1", i);
		add(&networks, host, 24);
		snprintf(host, sizeof(host), "2001:db8:%x::1", i);
		add(&networks, host, 48);
	}
	assert_int_equal(networks.ip4_count, NETWORKS_MAX);
	assert_int_equal(networks.ip6_count, NETWORKS_MAX);
	assert_true(contain(&networks, "198.51.63.9"));
	assert_false(contain(&networks, "198.51.64.9"));
	assert_true(contain(&networks, "2001:db8:3f::9"));
	assert_false(contain(&networks, "2001:db8:40::9"));
}

/* Such as a host with many addresses of services on lo. */
static void small_networks_make_room(void **state)
{
	struct networks networks = { 0 };
	char host[32];

	(void)state;
	for (int i = 1; i <= 2 * NETWORKS_MAX; i++) {
		snprintf(host, sizeof(host), "192.0.2.%d", i);
		add(&networks, host, i == 2 ? 31 : 32);
		snprintf(host, sizeof(host), "2001:db8:2::%x", i);
		add(&networks, host, i == 2 ? 127 : 128);
	}
	add(&networks, "198.51.100.1", 24);
	add(&networks, "203.0.113.1", 30);
	add(&networks, "2001:db8:9::1", 64);
	add(&networks, "2001:db8:a::1", 126);
	assert_int_equal(networks.ip4_count, NETWORKS_MAX);
	assert_int_equal(networks.ip6_count, NETWORKS_MAX);
	assert_true(contain(&networks, "198.51.100.9") && contain(&networks, "203.0.113.2"));
	assert_true(contain(&networks, "2001:db8:9::9") && contain(&networks, "2001:db8:a::2"));
	assert_true(contain(&networks, "192.0.2.3") && contain(&networks, "2001:db8:2::3"));
	assert_true(contain(&networks, "192.0.2.60") && contain(&networks, "2001:db8:2::3c"));
	assert_false(contain(&networks, "192.0.2.1") || contain(&networks, "2001:db8:2::1"));
}

/* Returns how many of these requests at one time are admitted, of four in a burst. */
static unsigned admitted(struct limiter *limiter, const char *host, bool own, unsigned requests)
{
	static const struct limiter_rate rate = { .interval = SECOND, .burst = 4 };
	struct address peer = parse(host);
	unsigned count = 0;

	while (requests-- > 0)
		count += limiter_admit(limiter, &rate, &peer, own, 7 * SECOND);
	return count;
}

/* Else a forger could find prefixes that share a set with a victim's. */
static void each_limiter_has_a_key_of_its_own(void **state)
{
	struct limiter one = { 0 }, other = { 0 };

	(void)state;
	assert_true(limiter_open(&one));
	assert_true(limiter_open(&other));
	assert_true(one.key.low != 0 && one.key.low != other.key.low);
	assert_true(one.key.high != 0 && one.key.high != other.key.high);
	limiter_close(&one);
	limiter_close(&other);
}

/* Also in a /64. Requests from before the network became an own one do not count. */
static void each_address_of_an_own_network_has_a_budget(void **state)
{
	static const char *const hosts[] = {
		"192.0.2.1",	   "192.0.2.2",	  "192.0.2.255",
		"2001:db8::1",	   "2001:db8::2", "2001:db8::ffff:0:0:1",
		"2001:db8:0:1::1",
	};
	struct limiter limiter;

	(void)state;
	assert_true(limiter_open(&limiter));
	for (int i = 0; i < 6; i++) {
		admitted(&limiter, "192.0.2.77", false, 9);
		admitted(&limiter, "192.0.2.78", false, 9);
		admitted(&limiter, "2001:db8::77", false, 9);
	}
	for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++)
		assert_int_equal(admitted(&limiter, hosts[i], true, 9), 4);
	limiter_close(&limiter);
}

/* A flood from forged addresses of a network gets what the network may have, no more. */
static void an_own_network_has_a_limit(void **state)
{
	static const char *const prefixes[] = { "2001:db8:0:1::", "::ffff:10.9.0." };
	struct limiter limiter;
	char host[64];

	(void)state;
	assert_true(limiter_open(&limiter));
	for (size_t i = 0; i < 2; i++) {
		unsigned count = 0;

		for (unsigned number = 0; number < 2 * LIMITER_OWN_WIDER; number++) {
			snprintf(host, sizeof(host), "%s%u", prefixes[i],
				 i ? number % 256 : number);
			count += admitted(&limiter, host, true, 4);
		}
		assert_int_equal(count, 4 * (i ? 256 : LIMITER_OWN_WIDER));
	}
	assert_int_equal(admitted(&limiter, "2001:db8:0:2::1", true, 9), 4);
	limiter_close(&limiter);
}

/* All that can be taken at one time. */
static unsigned take_all(struct ceiling *ceiling, uint32_t rate, int64_t now)
{
	unsigned sum = 0, taken;

	while ((taken = ceiling_take(ceiling, rate, now)) > 0)
		sum += taken;
	return sum;
}

static void a_second_at_once_and_then_the_rate(void **state)
{
	static const uint32_t rates[] = { 1, 7, 100, 10000, CEILING_RATE_MAX };
	int64_t start = 1234 * SECOND;

	(void)state;
	for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
		struct ceiling ceiling = { 0 };
		uint32_t rate = rates[i];

		assert_int_equal(take_all(&ceiling, rate, start), rate);
		assert_int_equal(take_all(&ceiling, rate, start - SECOND), 0);
		assert_in_range(take_all(&ceiling, rate, start + SECOND), rate - 1, rate + 1);
		assert_in_range(take_all(&ceiling, rate, start + 3 * SECOND / 2), rate / 2,
				rate / 2 + 1);
		assert_int_equal(take_all(&ceiling, rate, start + 3600 * SECOND), rate);
	}
}

/* Small portions, so that no thread has many in advance. */
static void portions(void **state)
{
	struct ceiling ceiling = { 0 };

	(void)state;
	assert_int_equal(ceiling_take(&ceiling, 100, SECOND), 1);
	assert_int_equal(ceiling_take(&ceiling, 10000, 9 * SECOND), 10);
	assert_int_equal(ceiling_take(&ceiling, CEILING_RATE_MAX, 99 * SECOND), 977);
}

/* From a machine's first second on. */
static void a_clock_that_starts_at_zero(void **state)
{
	struct ceiling ceiling = { 0 };

	(void)state;
	assert_int_equal(take_all(&ceiling, 100, 0), 0);
	assert_int_equal(take_all(&ceiling, 100, SECOND / 2), 50);
}

#define TAKERS 4

static struct ceiling shared;

static void *take_in_thread(void *sum)
{
	for (int64_t now = SECOND; now <= 3 * SECOND; now += SECOND / 1000)
		*(unsigned *)sum += ceiling_take(&shared, 50000, now);
	return NULL;
}

/* Each thread has its own pace. Together they get the replies of two seconds and the second at
 * once, less what a late thread leaves. */
static void threads_share_a_ceiling(void **state)
{
	pthread_t threads[TAKERS];
	unsigned sums[TAKERS] = { 0 }, sum = 0;

	(void)state;
	for (int i = 0; i < TAKERS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, take_in_thread, &sums[i]), 0);
	for (int i = 0; i < TAKERS; i++) {
		pthread_join(threads[i], NULL);
		sum += sums[i];
	}
	assert_in_range(sum + take_all(&shared, 50000, 3 * SECOND), 100000, 150000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(private_addresses),
		cmocka_unit_test(group_addresses),
		cmocka_unit_test(networks_of_interfaces),
		cmocka_unit_test(lengths_and_room_are_checked),
		cmocka_unit_test(small_networks_make_room),
		cmocka_unit_test(each_limiter_has_a_key_of_its_own),
		cmocka_unit_test(each_address_of_an_own_network_has_a_budget),
		cmocka_unit_test(an_own_network_has_a_limit),
		cmocka_unit_test(a_second_at_once_and_then_the_rate),
		cmocka_unit_test(portions),
		cmocka_unit_test(a_clock_that_starts_at_zero),
		cmocka_unit_test(threads_share_a_ceiling),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
