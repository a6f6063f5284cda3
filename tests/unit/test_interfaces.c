/* What rtnetlink says of interfaces. The messages are those of a little-endian machine. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "server/sockets/interfaces.h"

static bool contain(const struct interfaces *interfaces, const char *host)
{
	struct address address;

	assert_true(address_parse(&address, host, 123));
	return networks_contain(&interfaces->networks, &address);
}

/* Reads messages of rtnetlink. */
static struct interfaces read_messages(const void *bytes, size_t size)
{
	_Alignas(4) char copy[1024];
	const struct nlmsghdr *message = (const void *)copy;
	struct interfaces interfaces = { 0 };
	unsigned left = (unsigned)size;

	assert_true(size <= sizeof(copy));
	memcpy(copy, bytes, size);
	for (; NLMSG_OK(message, left); message = NLMSG_NEXT(message, left))
		interfaces_add(&interfaces, message);
	return interfaces;
}

/* clang-format off */
#define HEADER(size, type) size, 0, 0, 0, type, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0

static void addresses_of_rtnetlink(void **state)
{
	static const uint8_t bytes[] = {
		/* 198.51.100.9/24 of interface 2; IFA_ADDRESS and IFA_LOCAL */
		HEADER(40, 20), 2, 24, 0x80, 0, 2, 0, 0, 0,
		8, 0, 1, 0, 198, 51, 100, 9, 8, 0, 2, 0, 198, 51, 100, 9,
		/* 192.0.2.1 with the peer 203.0.113.5/32 */
		HEADER(40, 20), 2, 32, 0x80, 0, 3, 0, 0, 0,
		8, 0, 2, 0, 192, 0, 2, 1, 8, 0, 1, 0, 203, 0, 113, 5,
		/* 2001:db8:5::1/64 */
		HEADER(44, 20), 10, 64, 0x80, 0, 2, 0, 0, 0,
		20, 0, 1, 0, 0x20, 1, 0xd, 0xb8, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1,
		/* an IPv6 address that is too short, and a message without an address */
		HEADER(32, 20), 10, 64, 0x80, 0, 2, 0, 0, 0, 8, 0, 1, 0, 0x20, 1, 0xd, 0xb9,
		HEADER(24, 20), 2, 24, 0x80, 0, 2, 0, 0, 0,
		/* cut in its header */
		HEADER(20, 20), 2, 24, 0x80, 0,
	};
	struct interfaces interfaces = read_messages(bytes, sizeof(bytes));

	(void)state;
	assert_int_equal(interfaces.networks.ip4_count, 2);
	assert_int_equal(interfaces.networks.ip6_count, 1);
	assert_true(contain(&interfaces, "198.51.100.77"));
	assert_true(contain(&interfaces, "203.0.113.5"));
	assert_false(contain(&interfaces, "192.0.2.1"));
	assert_true(contain(&interfaces, "2001:db8:5::2"));
	assert_int_equal(interfaces.routed_count, 0);
}

/* IFLA_MASTER, and IFLA_LINKINFO with IFLA_INFO_SLAVE_KIND. */
#define LINK(size, index) HEADER(size, 16), 0, 0, 1, 0, index, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0

static void links_of_rtnetlink(void **state)
{
	static const uint8_t bytes[] = {
		/* interface 5 in the VRF 7 */
		LINK(52, 5), 8, 0, 10, 0, 7, 0, 0, 0,
		12, 0, 18, 0, 8, 0, 4, 0, 'v', 'r', 'f', 0,
		/* interface 6 in the bridge 8 */
		LINK(56, 6), 8, 0, 10, 0, 8, 0, 0, 0,
		16, 0, 18, 0, 11, 0, 4, 0, 'b', 'r', 'i', 'd', 'g', 'e', 0, 0,
		/* the VRF 7 itself: IFLA_INFO_KIND */
		LINK(44, 7), 12, 0, 18, 0, 8, 0, 1, 0, 'v', 'r', 'f', 0,
		/* an attribute that is longer than the message */
		LINK(44, 9), 8, 0, 10, 0, 7, 0, 0, 0, 99, 0, 18, 0,
	};
	struct interfaces interfaces = read_messages(bytes, sizeof(bytes));

	(void)state;
	assert_int_equal(interfaces.routed_count, 1);
	assert_int_equal(interfaces_out(&interfaces, AF_INET, 5), 7);
	assert_int_equal(interfaces_out(&interfaces, AF_INET6, 5), 7);
	for (unsigned i = 6; i < 10; i++)
		assert_int_equal(interfaces_out(&interfaces, AF_INET, i), 0);
}

/* FRA_OIFNAME and FRA_IIFNAME with the name of the loopback interface. */
static void rules_of_rtnetlink(void **state)
{
	static const uint8_t bytes[] = {
		/* "oif lo table 100" of IPv6 */
		HEADER(36, 32), 10, 0, 0, 0, 100, 0, 0, 1, 0, 0, 0, 0, 7, 0, 17, 0, 'l', 'o', 0, 0,
		/* "iif lo", an unknown interface, and "oif lo unreachable" */
		HEADER(36, 32), 2, 0, 0, 0, 100, 0, 0, 1, 0, 0, 0, 0, 7, 0, 3, 0, 'l', 'o', 0, 0,
		HEADER(36, 32), 2, 0, 0, 0, 100, 0, 0, 1, 0, 0, 0, 0, 8, 0, 17, 0, 'z', '/', 'z', 0,
		HEADER(36, 32), 2, 0, 0, 0, 100, 0, 0, 7, 0, 0, 0, 0, 7, 0, 17, 0, 'l', 'o', 0, 0,
	};
	struct interfaces interfaces = read_messages(bytes, sizeof(bytes));

	(void)state;
	assert_int_equal(interfaces.routed_count, 1);
	assert_int_equal(interfaces_out(&interfaces, AF_INET6, 1), 1);
	assert_int_equal(interfaces_out(&interfaces, AF_INET, 1), 0);
}
/* clang-format on */

/* What the kernel of this machine says: every one has a loopback interface, perhaps without an
 * address. A second update without a change publishes nothing. */
static void an_update_is_published_once(void **state)
{
	static struct interfaces_snapshot snapshot;
	struct interfaces interfaces = { 0 };
	unsigned sequence = 0, before;

	(void)state;
	interfaces_update(&snapshot);
	interfaces_refresh(&snapshot, &interfaces, &sequence);
	before = sequence;
	assert_in_range(before, 0, 1);
	interfaces_update(&snapshot);
	interfaces_update(&snapshot);
	interfaces_refresh(&snapshot, &interfaces, &sequence);
	assert_int_equal(sequence, before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_of_rtnetlink),
		cmocka_unit_test(links_of_rtnetlink),
		cmocka_unit_test(rules_of_rtnetlink),
		cmocka_unit_test(an_update_is_published_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
