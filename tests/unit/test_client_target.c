/* Parsing targets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "client/target.h"

struct good_case {
	const char *word, *host, *name;
	uint16_t port;
};

static const struct good_case good_cases[] = {
	{ "127.0.0.1", "127.0.0.1", "127.0.0.1:5050", 5050 },
	{ "127.0.0.1:13", "127.0.0.1", "127.0.0.1:13", 13 },
	{ "daytime://127.0.0.1", "127.0.0.1", "127.0.0.1:13", 13 },
	{ "daytime://127.0.0.1:5050", "127.0.0.1", "127.0.0.1:5050", 5050 },
	{ "time.example.org", "time.example.org", "time.example.org:5050", 5050 },
	{ "time.example.org:1", "time.example.org", "time.example.org:1", 1 },
	{ "time.example.org:65535", "time.example.org", "time.example.org:65535", 65535 },
	{ "time.example.org:00013", "time.example.org", "time.example.org:13", 13 },
	{ "::1", "::1", "[::1]:5050", 5050 },
	{ "[::1]", "::1", "[::1]:5050", 5050 },
	{ "[::1]:13", "::1", "[::1]:13", 13 },
	{ "daytime://[2001:db8::1]", "2001:db8::1", "[2001:db8::1]:13", 13 },
	{ "fe80::1%lo", "fe80::1%lo", "[fe80::1%lo]:5050", 5050 },
	{ "fe80::1%1", "fe80::1%1", "[fe80::1%1]:5050", 5050 },
	{ "daytime://[fe80::1%lo]/", "fe80::1%lo", "[fe80::1%lo]:13", 13 },
	{ "daytime://[fe80::1%25lo]", "fe80::1%lo", "[fe80::1%lo]:13", 13 },
	{ "daytime://[fe80::1%251]:13/", "fe80::1%1", "[fe80::1%1]:13", 13 },
	{ "Daytime://host", "host", "host:13", 13 },
	{ "DAYTIME://host/", "host", "host:13", 13 },
	{ "daytime://host:5/", "host", "host:5", 5 },
	{ "::ffff:192.0.2.1", "::ffff:192.0.2.1", "[::ffff:192.0.2.1]:5050", 5050 },
	{ "host_name", "host_name", "host_name:5050", 5050 },
};

static void parses_every_form(void **state)
{
	char problem[TARGET_PROBLEM_SIZE];
	struct target target;

	(void)state;
	for (size_t i = 0; i < sizeof(good_cases) / sizeof(good_cases[0]); i++) {
		const struct good_case *good = &good_cases[i];

		assert_true(target_parse(&target, good->word, problem));
		assert_string_equal(target.scheme->name, "daytime");
		assert_string_equal(target.host, good->host);
		assert_string_equal(target.name, good->name);
		assert_int_equal(target.port, good->port);
	}
}

#define SCHEME_PROBLEM	  "unknown scheme: expected daytime, daytime+udp, time, time+udp, ntp"
#define FORM_PROBLEM	  "expected [SCHEME://]HOST[:PORT]"
#define HOST_PROBLEM	  "invalid host: expected a name, an IPv4 or an IPv6 address"
#define INTERFACE_PROBLEM "no interface "
#define BRACKETS_PROBLEM  "an IPv6 address needs brackets before a port, such as [fe80::1%eth0]:13"
#define NO_ZONE_PROBLEM \
	"link-local address without a zone: expected the interface after it, such as fe80::1%eth0"
#define EXTRA_ZONE_PROBLEM "invalid host: only a link-local address has a zone"
#define PORT_PROBLEM	   "invalid port: expected a number from 1 to 65535"
#define LENGTH_PROBLEM	   "invalid host: expected at most 253 characters"

static const char *const bad_cases[][2] = {
	{ "nts://x", SCHEME_PROBLEM },
	{ "://x", SCHEME_PROBLEM },
	{ "daytim://x", SCHEME_PROBLEM },
	{ "daytimes://x", SCHEME_PROBLEM },
	{ "DAYTIM://x", SCHEME_PROBLEM },
	{ "DAYTIME\x0bUDP://x", SCHEME_PROBLEM },
	{ "", FORM_PROBLEM },
	{ ":13", FORM_PROBLEM },
	{ "host:", FORM_PROBLEM },
	{ "daytime://", FORM_PROBLEM },
	{ "daytime://:13", FORM_PROBLEM },
	{ "[::1", FORM_PROBLEM },
	{ "[]", FORM_PROBLEM },
	{ "[::1]13", FORM_PROBLEM },
	{ "[::1]:", FORM_PROBLEM },
	{ "[host]:13", HOST_PROBLEM },
	{ "[127.0.0.1]:13", HOST_PROBLEM },
	{ "a:b:c", HOST_PROBLEM },
	{ "::1::", HOST_PROBLEM },
	{ "fe80::1%no-such-zone", INTERFACE_PROBLEM "no-such-zone" },
	{ "fe80::1%", NO_ZONE_PROBLEM },
	{ "fe80::1%0", INTERFACE_PROBLEM "0" },
	{ "fe80::1%4000000000", INTERFACE_PROBLEM "4000000000" },
	{ "[fe80::1%25lo]", INTERFACE_PROBLEM "25lo" },
	{ "ntp://fe80::1%25lo", INTERFACE_PROBLEM "25lo" },
	{ "ntp://[::1%25]", EXTRA_ZONE_PROBLEM },
	{ "ntp://[fe80::1%wlan9]", INTERFACE_PROBLEM "wlan9" },
	{ "fe80::1%lo:13", BRACKETS_PROBLEM },
	{ "[fe80::1%lo:13]", BRACKETS_PROBLEM },
	{ "ntp://fe80::1%wlan9:13", BRACKETS_PROBLEM },
	{ "fe80::1::%lo", HOST_PROBLEM },
	{ "fe80::1", NO_ZONE_PROBLEM },
	{ "ntp://[FE80::1]:123", NO_ZONE_PROBLEM },
	{ "febf::1", NO_ZONE_PROBLEM },
	{ "::1%lo", EXTRA_ZONE_PROBLEM },
	{ "ntp://[2001:db8::1%25lo]", EXTRA_ZONE_PROBLEM },
	{ "127.0.0.1%lo/", HOST_PROBLEM },
	{ "a b", HOST_PROBLEM },
	{ "a\nb", HOST_PROBLEM },
	{ "daytime://host//", HOST_PROBLEM },
	{ "daytime://host/x", HOST_PROBLEM },
	{ "host/", HOST_PROBLEM },
	{ "daytime:///", FORM_PROBLEM },
	{ "h\xc3\xb6st", HOST_PROBLEM },
	{ "host:0", PORT_PROBLEM },
	{ "host:65536", PORT_PROBLEM },
	{ "host:99999999999999999999", PORT_PROBLEM },
	{ "host:+13", PORT_PROBLEM },
	{ "host:-13", PORT_PROBLEM },
	{ "host: 13", PORT_PROBLEM },
	{ "host:13x", PORT_PROBLEM },
	{ "host:daytime", PORT_PROBLEM },
};

static void reports_errors(void **state)
{
	char problem[TARGET_PROBLEM_SIZE];
	struct target target;

	(void)state;
	for (size_t i = 0; i < sizeof(bad_cases) / sizeof(bad_cases[0]); i++) {
		assert_false(target_parse(&target, bad_cases[i][0], problem));
		assert_string_equal(problem, bad_cases[i][1]);
	}
}

static void url_omits_default_port(void **state)
{
	static const char *const cases[][2] = {
		{ "ntp://192.0.2.1", "ntp://192.0.2.1" },
		{ "ntp://192.0.2.1:123", "ntp://192.0.2.1" },
		{ "ntp://[2001:db8::1]", "ntp://[2001:db8::1]" },
		{ "time+udp://[2001:db8::1]:123", "time+udp://[2001:db8::1]:123" },
		{ "time://host:37", "time://host" },
		{ "NTP://[fe80::1%25lo]/", "ntp://[fe80::1%lo]" },
		{ "Time+UDP://host", "time+udp://host" },
		{ "host", "daytime://host:5050" },
		{ "host:13", "daytime://host" },
	};
	char problem[TARGET_PROBLEM_SIZE];
	struct target target;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_true(target_parse(&target, cases[i][0], problem));
		assert_string_equal(target.url, cases[i][1]);
	}
}

static void limits_host_length(void **state)
{
	char problem[TARGET_PROBLEM_SIZE], word[4096];
	struct target target;

	(void)state;
	memset(word, 'a', sizeof(word));
	strcpy(word + 253, ":65535");
	assert_true(target_parse(&target, word, problem));
	assert_int_equal(strlen(target.host), 253);
	assert_string_equal(target.name, word);

	for (size_t length = 254; length < sizeof(word); length++) {
		memset(word, 'a', length);
		word[length] = '\0';
		assert_false(target_parse(&target, word, problem));
		assert_string_equal(problem, LENGTH_PROBLEM);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parses_every_form),
		cmocka_unit_test(reports_errors),
		cmocka_unit_test(url_omits_default_port),
		cmocka_unit_test(limits_host_length),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
