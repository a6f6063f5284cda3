/* The order in which a host's addresses are tried. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "client/resolve.h"

/* Makes addresses from families such as "4466", with their index as the port, and checks their
 * order afterwards. */
static void expect_order(const char *families, const char *ordered, const uint16_t *ports)
{
	struct address addresses[RESOLVE_MAX];
	size_t count = strlen(families);

	for (size_t i = 0; i < count; i++)
		addresses[i] = address_any(families[i] == '6' ? AF_INET6 : AF_INET, (uint16_t)i);
	resolve_interleave(addresses, count);
	for (size_t i = 0; i < count; i++) {
		assert_int_equal(addresses[i].any.sa_family,
				 ordered[i] == '6' ? AF_INET6 : AF_INET);
		assert_int_equal(address_port(&addresses[i]), ports[i]);
	}
}

static void families_alternate(void **state)
{
	(void)state;
	expect_order("", "", NULL);
	expect_order("4", "4", (const uint16_t[]){ 0 });
	expect_order("666", "666", (const uint16_t[]){ 0, 1, 2 });
	expect_order("64", "64", (const uint16_t[]){ 0, 1 });
	expect_order("6644", "6464", (const uint16_t[]){ 0, 2, 1, 3 });
	expect_order("4466", "4646", (const uint16_t[]){ 0, 2, 1, 3 });
	expect_order("66664", "64666", (const uint16_t[]){ 0, 4, 1, 2, 3 });
	expect_order("444664", "464644", (const uint16_t[]){ 0, 3, 1, 4, 2, 5 });
}

static void literals_resolve_to_themselves(void **state)
{
	struct address addresses[RESOLVE_MAX], expected;
	size_t count = 0;

	(void)state;
	assert_null(resolve_host(addresses, &count, "192.0.2.1", 13, AF_UNSPEC));
	assert_int_equal(count, 1);
	assert_true(address_parse(&expected, "192.0.2.1", 13));
	assert_true(address_equal(&addresses[0], &expected));

	assert_null(resolve_host(addresses, &count, "fe80::1%lo", 5050, AF_INET6));
	assert_int_equal(count, 1);
	assert_true(address_parse(&expected, "fe80::1%lo", 5050));
	assert_true(address_equal(&addresses[0], &expected));
}

static void a_literal_of_the_other_family_is_an_error(void **state)
{
	struct address addresses[RESOLVE_MAX];
	size_t count = 0;

	(void)state;
	assert_string_equal(resolve_host(addresses, &count, "192.0.2.1", 13, AF_INET6),
			    "Address family for hostname not supported");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(families_alternate),
		cmocka_unit_test(literals_resolve_to_themselves),
		cmocka_unit_test(a_literal_of_the_other_family_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
