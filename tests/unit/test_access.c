/* The access list: parsing and formatting prefixes, and the prefix that decides. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/access.h"

#define SEED 867

/* Adds "allow PREFIX" or "deny PREFIX". */
static void add(struct access *access, const char *line)
{
	struct access_prefix prefix;

	assert_true(access_prefix_parse(&prefix, strchr(line, ' ') + 1));
	assert_true(access_add(access, &prefix, *line == 'a'));
}

static struct access make(const char *const *lines)
{
	struct access access = { 0 };

	for (; *lines; lines++)
		add(&access, *lines);
	assert_true(access_build(&access));
	return access;
}

static bool allows(const struct access *access, const char *host)
{
	struct address peer;

	assert_true(address_parse(&peer, host, 123));
	return access_allows(access, &peer);
}

/* Checks hosts, each behind '+' (allowed) or '-' (denied), against lines; both end with NULL. */
static void expect(const char *const *lines, const char *const *hosts)
{
	struct access access = make(lines);

	for (; *hosts; hosts++) {
		if (allows(&access, *hosts + 1) != (**hosts == '+'))
			fail_msg("expected %s", *hosts);
	}
	access_free(&access);
}

#define LIST(...) ((const char *const[]){ __VA_ARGS__, NULL })

static void prefixes_are_parsed_and_formatted(void **state)
{
	static const struct {
		const char *text, *shown;
	} rows[] = {
		{ "all", "all" },
		{ "0.0.0.0/0", "0.0.0.0/0" },
		{ "::/0", "::/0" },
		{ "192.0.2.0/24", "192.0.2.0/24" },
		{ "192.0.2.7", "192.0.2.7" },
		{ "192.0.2.7/32", "192.0.2.7" },
		{ "192.0.2.6/31", "192.0.2.6/31" },
		{ "128.0.0.0/1", "128.0.0.0/1" },
		{ "2001:db8::/32", "2001:db8::/32" },
		{ "2001:0DB8:0::0/032", "2001:db8::/32" },
		{ "::1", "::1" },
		{ "::1/128", "::1" },
		{ "8000::/1", "8000::/1" },
		{ "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe/127",
		  "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe/127" },
		{ "::ffff:192.0.2.0/120", "192.0.2.0/24" },
		{ "::ffff:192.0.2.7", "192.0.2.7" },
		{ "::ffff:0:0/96", "0.0.0.0/0" },
		{ "::fffe:0:0/95", "::fffe:0:0/95" },
	};
	struct access_prefix prefix, again;
	char text[ADDRESS_TEXT_SIZE];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_true(access_prefix_parse(&prefix, rows[i].text));
		assert_string_equal(access_prefix_format(&prefix, text), rows[i].shown);
		assert_true(access_prefix_parse(&again, text));
		assert_memory_equal(&prefix, &again, sizeof(prefix));
	}
}

static void invalid_prefixes_are_refused(void **state)
{
	static const char *const wrong[] = { "",
					     "/",
					     "/24",
					     "All",
					     "all/0",
					     "none",
					     "localhost",
					     "192.0.2",
					     "192.0.2.0/",
					     "192.0.2.0/33",
					     "192.0.2.0/-1",
					     "192.0.2.0/+24",
					     "192.0.2.0/ 24",
					     "192.0.2.0/24 ",
					     " 192.0.2.0/24",
					     "192.0.2.0/24/24",
					     "192.0.2.0/255.255.255.0",
					     "192.0.2.0/4294967320",
					     "192.0.2.1/24",
					     "192.0.2.0:123",
					     "128.0.0.0/0",
					     "2001:db8::/129",
					     "2001:db8::/31x",
					     "2001:db8::1/127",
					     "2001:db8:1::/32",
					     "[2001:db8::]/32",
					     "fe80::1%lo",
					     "::1/0",
					     "::ffff:192.0.2.1/120",
					     "ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.2555/128" };
	struct access_prefix prefix;

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		if (access_prefix_parse(&prefix, wrong[i]))
			fail_msg("'%s' is not a prefix", wrong[i]);
	}
}

static void without_a_matching_rule_all_are_allowed(void **state)
{
	const char *const none[] = { NULL };

	(void)state;
	expect(none, LIST("+192.0.2.1", "+::1", "+::ffff:192.0.2.1"));
	expect(LIST("allow 192.0.2.0/24"), LIST("+192.0.2.1", "+198.51.100.1", "+::1"));
}

static void a_rule_covers_its_prefix_exactly(void **state)
{
	(void)state;
	expect(LIST("deny 192.0.2.0/24"), LIST("+192.0.1.255", "-192.0.2.0", "-192.0.2.255",
					       "+192.0.3.0", "+::1", "-::ffff:192.0.2.9"));
	expect(LIST("deny 255.255.255.254/31"),
	       LIST("+255.255.255.253", "-255.255.255.254", "-255.255.255.255", "+::"));
	expect(LIST("deny 0.0.0.0"), LIST("-0.0.0.0", "+0.0.0.1", "+::"));
	expect(LIST("deny 2001:db8::/33"),
	       LIST("+2001:db7:ffff:ffff:ffff:ffff:ffff:ffff",
		    "-2001:db8::", "-2001:db8:7fff:ffff:ffff:ffff:ffff:ffff", "+2001:db8:8000::"));
	expect(LIST("deny 2001:db8::1"), LIST("+2001:db8::", "-2001:db8::1", "+2001:db8::2"));
	expect(LIST("deny ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
	       LIST("-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
		    "+ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe"));
}

static void the_longest_prefix_decides(void **state)
{
	const char *const hosts[] = { "-9.255.255.255", "+10.0.0.0",   "+10.0.255.255",
				      "-10.1.0.0",	"-10.1.1.255", "+10.1.2.0",
				      "-10.1.2.3",	"+10.1.2.4",   "+10.1.2.255",
				      "-10.1.3.0",	"-10.1.255.1", "+10.2.0.0",
				      "-11.0.0.0",	"-::1",	       NULL };

	(void)state;
	expect(LIST("deny all", "allow 10.0.0.0/8", "deny 10.1.0.0/16", "allow 10.1.2.0/24",
		    "deny 10.1.2.3"),
	       hosts);
	expect(LIST("deny 10.1.2.3", "allow 10.1.2.0/24", "deny 10.1.0.0/16", "allow 10.0.0.0/8",
		    "deny all"),
	       hosts);
}

static void nested_prefixes_with_a_common_end(void **state)
{
	(void)state;
	expect(LIST("deny 10.0.0.0/8", "allow 10.0.0.0/16", "deny 10.0.0.0/24", "allow 10.0.0.0"),
	       LIST("+9.255.255.255", "+10.0.0.0", "-10.0.0.1", "-10.0.0.255", "+10.0.1.0",
		    "+10.0.255.255", "-10.1.0.0", "-10.255.255.255", "+11.0.0.0"));
	expect(LIST("deny 10.0.0.0/8", "allow 10.255.0.0/16", "deny 10.255.255.0/24",
		    "allow 10.255.255.255"),
	       LIST("-10.254.255.255", "+10.255.0.0", "+10.255.254.255", "-10.255.255.0",
		    "-10.255.255.254", "+10.255.255.255", "+11.0.0.0"));
	expect(LIST("deny 10.0.0.0/25", "allow 10.0.0.128/25", "deny 10.0.1.0/24"),
	       LIST("-10.0.0.127", "+10.0.0.128", "+10.0.0.255", "-10.0.1.0", "+10.0.2.0"));
}

static void rules_for_one_family_or_both(void **state)
{
	(void)state;
	expect(LIST("deny all"), LIST("-0.0.0.0", "-255.255.255.255", "-::", "-::ffff:192.0.2.1",
				      "-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"));
	expect(LIST("deny 0.0.0.0/0"), LIST("-0.0.0.0", "-255.255.255.255", "-::ffff:192.0.2.1",
					    "+::", "+ffff::", "+::fffe:0:1", "+::1:0:0:0"));
	expect(LIST("deny ::/0"), LIST("+0.0.0.0", "+255.255.255.255", "+::ffff:192.0.2.1",
				       "-::", "-ffff::", "-::ffff", "-::1:0:0:0"));
	expect(LIST("deny all", "allow ::/0"), LIST("-192.0.2.1", "+2001:db8::1"));
	expect(LIST("allow 0.0.0.0/0", "deny all"), LIST("+192.0.2.1", "-2001:db8::1"));
}

static void the_later_of_two_rules_decides(void **state)
{
	(void)state;
	expect(LIST("deny 10.0.0.0/8", "deny all", "allow 10.0.0.0/8"),
	       LIST("+10.0.0.1", "-11.0.0.1"));
	expect(LIST("allow all", "allow 10.0.0.0/8", "deny 10.0.0.0/8", "deny all", "allow all"),
	       LIST("-10.0.0.1", "+11.0.0.1"));
	expect(LIST("deny ::ffff:10.0.0.0/104", "allow 10.0.0.0/8"), LIST("+10.0.0.1"));
}

static void rules_apply_after_build(void **state)
{
	struct access access = { 0 };

	(void)state;
	add(&access, "allow 192.0.2.0/24");
	assert_false(allows(&access, "192.0.2.1")); /* no ranges yet: all are denied */
	for (int round = 0; round < 2; round++) {
		assert_true(access_build(&access));
		assert_true(allows(&access, "192.0.2.1"));
		assert_int_equal(allows(&access, "192.0.3.1"), round == 0);
		add(&access, "deny all");
	}
	access_free(&access);
}

static void adjacent_ranges_with_the_same_result_are_merged(void **state)
{
	struct access access = make(LIST("allow 10.0.0.0/8", "deny 10.0.0.0/25",
					 "deny 10.0.0.128/25", "deny 10.0.0.7"));

	(void)state;
	assert_int_equal(access.rule_count, 4);
	assert_int_equal(access.range_count, 3);
	access_free(&access);
}

/* A naive list: compares every rule, bit by bit. */
struct naive_rule {
	int family; /* AF_UNSPEC: both */
	uint8_t bytes[16];
	unsigned length;
	bool allow;
};

static bool naive_matches(const struct naive_rule *rule, int family, const uint8_t *bytes)
{
	if (rule->family != AF_UNSPEC && rule->family != family)
		return false;
	for (unsigned bit = 0; bit < rule->length; bit++) {
		if ((rule->bytes[bit / 8] ^ bytes[bit / 8]) >> (7 - bit % 8) & 1)
			return false;
	}
	return true;
}

static bool naive_allows(const struct naive_rule *rules, size_t count, int family,
			 const uint8_t *bytes)
{
	int longest = -1, length;
	bool allow = true;

	for (size_t i = 0; i < count; i++) {
		length = rules[i].family == AF_UNSPEC ? 0 : (int)rules[i].length + 1;
		if (length >= longest && naive_matches(&rules[i], family, bytes)) {
			longest = length;
			allow = rules[i].allow;
		}
	}
	return allow;
}

/* Bytes of few values with some bits flipped, so that prefixes nest, touch, and end at the first or
 * last address. */
static void random_bytes(uint8_t *bytes, size_t size)
{
	static const uint8_t values[] = { 0x00, 0x01, 0x7f, 0x80, 0xff };

	memset(bytes, random() % 2 ? 0xff : 0, size);
	for (size_t i = 0; i < size && random() % 4 > 0; i++)
		bytes[i] = values[(size_t)random() % sizeof(values)];
	if (random() % 4 == 0)
		bytes[(size_t)random() % size] ^= (uint8_t)(1 << random() % 8);
	if (size == 16)
		bytes[10] &= 0xfe; /* never IPv4 in IPv6 form */
}

/* Draws a rule, and formats it as a line of configuration. */
static void random_rule(struct naive_rule *rule, char *text, size_t size)
{
	unsigned most, bit;
	char literal[INET6_ADDRSTRLEN];

	memset(rule, 0, sizeof(*rule));
	rule->allow = random() % 2;
	snprintf(text, size, "%s all", rule->allow ? "allow" : "deny");
	if (random() % 10 == 0)
		return;
	rule->family = random() % 2 ? AF_INET : AF_INET6;
	most = rule->family == AF_INET ? 32 : 128;
	random_bytes(rule->bytes, most / 8);
	rule->length = (unsigned)random() % (most + 1);
	for (bit = rule->length; bit < most; bit++)
		rule->bytes[bit / 8] &= (uint8_t) ~(0x80 >> bit % 8);
	inet_ntop(rule->family, rule->bytes, literal, sizeof(literal));
	snprintf(text, size, "%s %s/%u", rule->allow ? "allow" : "deny", literal, rule->length);
}

/* A random peer, often at the edge of a rule. */
static struct address random_peer(const struct naive_rule *rule, int *family, uint8_t bytes[16])
{
	struct address peer = address_any(AF_INET6, 123);
	unsigned size;

	*family = rule->family != AF_UNSPEC ? rule->family : AF_INET;
	size = *family == AF_INET ? 4 : 16;
	random_bytes(bytes, size);
	for (unsigned bit = 0; rule->family != AF_UNSPEC && bit < rule->length; bit++) {
		uint8_t mask = (uint8_t)(0x80 >> bit % 8);

		bytes[bit / 8] = (bytes[bit / 8] & (uint8_t)~mask) | (rule->bytes[bit / 8] & mask);
	}
	for (unsigned i = size; random() % 2 && i-- > 0;) { /* the next address after it */
		if (++bytes[i] != 0)
			break;
	}
	if (*family == AF_INET6) {
		memcpy(&peer.ip6.sin6_addr, bytes, 16);
	} else if (random() % 2) {
		peer = address_any(AF_INET, 123);
		memcpy(&peer.ip4.sin_addr, bytes, 4);
	} else {
		memset(peer.ip6.sin6_addr.s6_addr + 10, 0xff, 2);
		memcpy(peer.ip6.sin6_addr.s6_addr + 12, bytes, 4);
	}
	return peer;
}

#define RULES 40

static void random_rules_agree_with_the_naive_list(void **state)
{
	static struct naive_rule rules[RULES];
	uint8_t bytes[16];
	char text[ADDRESS_TEXT_SIZE];
	int family;

	(void)state;
	print_message("seed %d\n", SEED);
	srandom(SEED);
	for (int round = 0; round < 2000; round++) {
		size_t count = 1 + (size_t)random() % RULES;
		struct access access = { 0 };

		for (size_t i = 0; i < count; i++) {
			random_rule(&rules[i], text, sizeof(text));
			add(&access, text);
		}
		assert_true(access_build(&access));
		for (int i = 0; i < 100; i++) {
			struct address peer =
				random_peer(&rules[(size_t)random() % RULES], &family, bytes);

			assert_int_equal(access_allows(&access, &peer),
					 naive_allows(rules, count, family, bytes));
		}
		access_free(&access);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(prefixes_are_parsed_and_formatted),
		cmocka_unit_test(invalid_prefixes_are_refused),
		cmocka_unit_test(without_a_matching_rule_all_are_allowed),
		cmocka_unit_test(a_rule_covers_its_prefix_exactly),
		cmocka_unit_test(the_longest_prefix_decides),
		cmocka_unit_test(nested_prefixes_with_a_common_end),
		cmocka_unit_test(rules_for_one_family_or_both),
		cmocka_unit_test(the_later_of_two_rules_decides),
		cmocka_unit_test(rules_apply_after_build),
		cmocka_unit_test(adjacent_ranges_with_the_same_result_are_merged),
		cmocka_unit_test(random_rules_agree_with_the_naive_list),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
