/* Rate limits by prefix. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/limiter.h"

#define SEED	123
#define SECOND	INT64_C(1000000000)
#define MINUTES (60 * SECOND)

/* Any time: the monotonic clock starts at boot. */
#define START (7 * SECOND)

static const struct limiter_rate rate = { .interval = SECOND, .burst = 4 };

/* A limiter with a fixed key, so that each run is the same. */
static struct limiter make(void)
{
	struct limiter limiter;

	assert_true(limiter_open(&limiter));
	limiter.key = (struct hash_key){ 0x0706050403020100, 0x0f0e0d0c0b0a0908 };
	return limiter;
}

static bool admit(struct limiter *limiter, const char *host, int64_t now)
{
	struct address peer;

	assert_true(address_parse(&peer, host, 123));
	return limiter_admit(limiter, &rate, &peer, false, now);
}

/* Returns how many of these requests at one time are admitted. */
static unsigned admitted(struct limiter *limiter, const char *host, unsigned requests, int64_t now)
{
	unsigned count = 0;

	while (requests-- > 0)
		count += admit(limiter, host, now);
	return count;
}

static struct address ip4(uint32_t number)
{
	struct address address = address_any(AF_INET, 123);

	address.ip4.sin_addr.s_addr = htonl(number);
	return address;
}

static void a_burst_and_then_one_request_each_interval(void **state)
{
	static const char *const hosts[] = { "192.0.2.1", "2001:db8::1" };
	struct limiter limiter = make();

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(admitted(&limiter, hosts[i], 100, START), 4);
		for (int second = 1; second < 100; second++) {
			int64_t now = START + second * SECOND;

			assert_false(admit(&limiter, hosts[i], now - 1));
			assert_int_equal(admitted(&limiter, hosts[i], 3, now), 1);
		}
		limiter.latest = 0;
	}
	limiter_close(&limiter);
}

static void requests_at_the_rate_are_all_admitted(void **state)
{
	struct limiter limiter = make();

	(void)state;
	for (int i = 0; i < 1000; i++)
		assert_true(admit(&limiter, "192.0.2.1", START + i * SECOND));
	assert_int_equal(admitted(&limiter, "192.0.2.1", 100, START + 1000 * SECOND), 4);
	limiter_close(&limiter);
}

static void idle_time_restores_up_to_a_burst(void **state)
{
	struct limiter limiter = make();

	(void)state;
	assert_int_equal(admitted(&limiter, "192.0.2.1", 9, START), 4);
	assert_int_equal(admitted(&limiter, "192.0.2.1", 9, START + 2 * SECOND), 2);
	assert_int_equal(admitted(&limiter, "192.0.2.1", 9, START + 5 * SECOND), 3);
	assert_int_equal(admitted(&limiter, "192.0.2.1", 9, START + 9 * SECOND), 4);
	assert_int_equal(admitted(&limiter, "192.0.2.1", 9, START + 60 * MINUTES), 4);
	limiter_close(&limiter);
}

/* Five neighbours, of which four may have a burst at once. A limited request costs nothing. */
static void expect_wider(const char *const hosts[5], const char *outside)
{
	struct limiter limiter = make();

	for (size_t i = 0; i < 5; i++)
		assert_int_equal(admitted(&limiter, hosts[i], 9, START), i < LIMITER_WIDER ? 4 : 0);
	assert_int_equal(admitted(&limiter, outside, 9, START), 4);
	/* The fifth was limited at no cost: it has its whole burst left. */
	assert_int_equal(admitted(&limiter, hosts[4], 9, START + SECOND), 4);
	assert_int_equal(admitted(&limiter, hosts[0], 9, START + SECOND), 0);
	assert_int_equal(admitted(&limiter, hosts[0], 9, START + SECOND + SECOND / 4), 1);
	limiter_close(&limiter);
}

static void neighbours_share_a_wider_limit(void **state)
{
	(void)state;
	expect_wider((const char *const[]){ "192.0.2.1", "192.0.2.2", "192.0.2.77", "192.0.2.255",
					    "192.0.2.0" },
		     "192.0.3.1");
	expect_wider((const char *const[]){ "2001:db8::1", "2001:db8:0:1::1", "2001:db8:0:2::1",
					    "2001:db8:0:ffff::1", "2001:db8:0:3::" },
		     "2001:db8:1::1");
}

static void addresses_of_one_prefix_share_a_limit(void **state)
{
	struct limiter limiter = make();

	(void)state;
	assert_int_equal(admitted(&limiter, "2001:db8::1", 3, START), 3);
	assert_int_equal(admitted(&limiter, "2001:db8::ffff:ffff:ffff:ffff", 3, START), 1);
	/* IPv4 in IPv6 form is IPv4. */
	assert_int_equal(admitted(&limiter, "::ffff:192.0.2.1", 9, START), 4);
	assert_int_equal(admitted(&limiter, "192.0.2.1", 9, START), 0);
	assert_int_equal(admitted(&limiter, "::ffff:192.0.2.2", 9, START), 4);
	assert_int_equal(admitted(&limiter, "::ffff:198.51.100.1", 9, START), 4);
	/* An IPv4 address with the first bytes of the IPv6 prefix is another prefix. */
	assert_int_equal(admitted(&limiter, "32.1.13.184", 9, START), 4);
	assert_int_equal(admitted(&limiter, "0.0.0.0", 9, START), 4);
	assert_int_equal(admitted(&limiter, "::", 9, START), 4);
	limiter_close(&limiter);
}

static void an_earlier_time_counts_as_the_latest(void **state)
{
	struct limiter limiter = make();

	(void)state;
	assert_int_equal(admitted(&limiter, "192.0.2.1", 9, START), 4);
	assert_int_equal(admitted(&limiter, "192.0.2.1", 9, START - 5 * SECOND), 0);
	assert_int_equal(admitted(&limiter, "192.0.2.1", 9, INT64_MIN), 0);
	assert_int_equal(admitted(&limiter, "192.0.2.1", 9, START), 0);
	assert_int_equal(admitted(&limiter, "198.51.100.1", 9, 0), 4);
	assert_int_equal(admitted(&limiter, "198.51.100.1", 9, START + SECOND), 1);
	assert_int_equal(admitted(&limiter, "192.0.2.1", 9, START + SECOND), 1);
	limiter_close(&limiter);
}

static void extreme_rates(void **state)
{
	static const struct limiter_rate slowest = { .interval = INT64_MAX, .burst = 1 };
	static const struct limiter_rate longest = { .interval = INT64_MAX, .burst = UINT32_MAX };
	static const struct limiter_rate fastest = { .interval = 1, .burst = 1 };
	static const struct limiter_rate no_limit = { .interval = 0, .burst = 1 };
	struct limiter limiter = make();
	struct address one = ip4(1), other = ip4(1 << 8), third = ip4(1 << 9);

	(void)state;
	for (int i = 0; i < 1000; i++)
		assert_true(limiter_admit(&limiter, &no_limit, &one, false, START));
	assert_true(limiter_admit(&limiter, &slowest, &one, false, START));
	assert_false(limiter_admit(&limiter, &slowest, &one, false, START + 525600 * MINUTES));
	assert_true(limiter_admit(&limiter, &longest, &other, false, START + 525600 * MINUTES));
	assert_true(limiter_admit(&limiter, &longest, &other, false, START + 525600 * MINUTES));
	assert_true(limiter_admit(&limiter, &fastest, &third, false, START + 525601 * MINUTES));
	assert_false(limiter_admit(&limiter, &fastest, &third, false, START + 525601 * MINUTES));
	assert_true(limiter_admit(&limiter, &fastest, &third, false, START + 525601 * MINUTES + 1));
	limiter_close(&limiter);
}

/* A prefix that was limited for hours recovers in seconds when a reload has raised the rate. */
static void a_higher_rate_applies_at_once(void **state)
{
	static const struct limiter_rate severe = { .interval = 60 * MINUTES, .burst = 4 };
	struct limiter limiter = make();
	struct address peer = ip4(0xc0000201);

	(void)state;
	for (int i = 0; i < 9; i++)
		assert_int_equal(limiter_admit(&limiter, &severe, &peer, false, START), i < 4);
	assert_int_equal(admitted(&limiter, "192.0.2.1", 9, START + SECOND), 0);
	assert_int_equal(admitted(&limiter, "192.0.2.1", 9, START + 2 * SECOND), 1);
	assert_int_equal(admitted(&limiter, "192.0.2.1", 9, START + 9 * SECOND), 4);
	limiter_close(&limiter);
}

/* The resident pages of a limiter. */
static unsigned resident_pages(const struct limiter *limiter)
{
	unsigned char pages[LIMITER_SIZE / 4096];
	unsigned count = 0;

	memset(pages, 0, sizeof(pages));
	assert_int_equal(mincore(limiter->entries, LIMITER_SIZE, pages), 0);
	for (size_t i = 0; i < sizeof(pages); i++)
		count += pages[i] & 1;
	return count;
}

/* The address space of this process, in pages. */
static long address_space(void)
{
	FILE *file = fopen("/proc/self/statm", "r");
	char line[256] = "";

	assert_non_null(file);
	assert_non_null(fgets(line, sizeof(line), file));
	fclose(file);
	return strtol(line, NULL, 10);
}

static void memory_is_resident_only_when_used(void **state)
{
	struct limiter limiter = make();

	(void)state;
	assert_int_equal(resident_pages(&limiter), 0);
	assert_int_equal(admitted(&limiter, "192.0.2.1", 1000, START), 4);
	assert_in_range(resident_pages(&limiter), 1, 2);
	limiter_close(&limiter);
	limiter_close(&limiter); /* a second close does nothing */
}

static void a_million_prefixes_allocate_no_memory(void **state)
{
	struct limiter limiter = make();
	long before = address_space();

	(void)state;
	for (uint32_t i = 0; i < 1000000; i++) {
		struct address peer = ip4(i << 8 | (i >> 16));

		assert_true(limiter_admit(&limiter, &rate, &peer, false, START + i));
	}
	assert_int_equal(address_space(), before);
	limiter_close(&limiter);
}

static void a_flood_from_one_prefix_does_not_limit_others(void **state)
{
	struct limiter limiter = make();
	unsigned flood = 0;

	(void)state;
	for (int64_t i = 0; i < 200000; i++) { /* 20 seconds of 10,000 a second */
		int64_t now = START + i * (SECOND / 10000);

		flood += admit(&limiter, "198.51.100.1", now);
		if (i % 10000 == 0) {
			assert_true(admit(&limiter, "192.0.2.1", now));
			assert_true(admit(&limiter, "2001:db8::1", now));
		}
	}
	assert_int_equal(flood, 4 + 19);
	limiter_close(&limiter);
}

/* A flood from many addresses fills the table with entries that expire earlier than the entry of a
 * prefix that has used up its burst. */
static void a_flood_from_many_prefixes_keeps_a_limited_one(void **state)
{
	struct limiter limiter = make();

	(void)state;
	assert_int_equal(admitted(&limiter, "192.0.2.1", 9, START), 4);
	for (uint32_t i = 0; i < 300000; i++) {
		struct address peer = ip4(0x0a000000 + i);

		limiter_admit(&limiter, &rate, &peer, false, START);
	}
	assert_int_equal(admitted(&limiter, "192.0.2.1", 9, START), 0);
	limiter_close(&limiter);
}

/* Also if both prefixes of an address are in the same set of the table, as for some of these. */
static void both_prefixes_are_remembered(void **state)
{
	static const struct limiter_rate single = { .interval = SECOND, .burst = 1 };
	struct limiter limiter = make();

	(void)state;
	for (uint32_t net = 1; net <= 40000; net++) {
		int64_t now = START + net * 10 * SECOND;

		for (uint32_t host = 0; host <= LIMITER_WIDER; host++) {
			struct address peer = ip4(net << 8 | host);

			assert_int_equal(limiter_admit(&limiter, &single, &peer, false, now),
					 host < LIMITER_WIDER);
			assert_false(limiter_admit(&limiter, &single, &peer, false, now));
		}
	}
	limiter_close(&limiter);
}

/* A naive model: the credit of a prefix, in nanoseconds, up to a burst. */
struct naive_bucket {
	int64_t credit, interval, max, last;
};

static bool naive_has_credit(struct naive_bucket *bucket, int64_t now)
{
	bucket->credit += now - bucket->last;
	bucket->last = now;
	if (bucket->credit > bucket->max)
		bucket->credit = bucket->max;
	return bucket->credit >= bucket->interval;
}

#define NETS  200
#define HOSTS 8

static void random_requests_agree_with_the_naive_model(void **state)
{
	static struct naive_bucket narrow[NETS][HOSTS], wider[NETS];
	struct limiter_rate drawn = { .interval = SECOND / 100, .burst = 5 };
	struct limiter limiter = make();
	int64_t now = START;
	unsigned decided[2][2] = { 0 }; /* by the credit of both prefixes */

	(void)state;
	print_message("seed %d\n", SEED);
	srandom(SEED);
	for (int net = 0; net < NETS; net++) {
		int64_t max = drawn.interval * drawn.burst;

		wider[net] = (struct naive_bucket){ max, drawn.interval / 4, max, START };
		for (int host = 0; host < HOSTS; host++)
			narrow[net][host] =
				(struct naive_bucket){ max, drawn.interval, max, START };
	}
	for (int i = 0; i < 500000; i++) {
		unsigned net = (unsigned)random() % NETS, host = (unsigned)random() % HOSTS;
		bool narrow_has, wider_has;
		struct address peer;

		now += random() % 12000;
		host &= (unsigned)random(); /* some hosts send more often than others */
		peer = ip4(net << 8 | host);
		narrow_has = naive_has_credit(&narrow[net][host], now);
		wider_has = naive_has_credit(&wider[net], now);
		assert_int_equal(limiter_admit(&limiter, &drawn, &peer, false, now),
				 narrow_has && wider_has);
		decided[narrow_has][wider_has]++;
		if (!narrow_has || !wider_has)
			continue;
		narrow[net][host].credit -= narrow[net][host].interval;
		wider[net].credit -= wider[net].interval;
	}
	for (int i = 0; i < 4; i++) /* each case was frequent */
		assert_in_range(decided[i / 2][i % 2], 1000, 400000);
	limiter_close(&limiter);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_burst_and_then_one_request_each_interval),
		cmocka_unit_test(requests_at_the_rate_are_all_admitted),
		cmocka_unit_test(idle_time_restores_up_to_a_burst),
		cmocka_unit_test(neighbours_share_a_wider_limit),
		cmocka_unit_test(addresses_of_one_prefix_share_a_limit),
		cmocka_unit_test(an_earlier_time_counts_as_the_latest),
		cmocka_unit_test(extreme_rates),
		cmocka_unit_test(a_higher_rate_applies_at_once),
		cmocka_unit_test(memory_is_resident_only_when_used),
		cmocka_unit_test(a_million_prefixes_allocate_no_memory),
		cmocka_unit_test(a_flood_from_one_prefix_does_not_limit_others),
		cmocka_unit_test(a_flood_from_many_prefixes_keeps_a_limited_one),
		cmocka_unit_test(both_prefixes_are_remembered),
		cmocka_unit_test(random_requests_agree_with_the_naive_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
