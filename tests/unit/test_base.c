/* Bytes, text and addresses. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/address.h"
#include "base/bytes.h"
#include "base/failure.h"
#include "base/text.h"

static void writer_stays_within_its_buffer(void **state)
{
	(void)state;
	for (size_t room = 0; room <= 8; room++) {
		uint8_t buffer[9];
		struct bytes_writer writer = bytes_writer_open(buffer, room);

		memset(buffer, 0xee, sizeof(buffer));
		bytes_put(&writer, "abc", 3);
		bytes_put_byte(&writer, '-');
		bytes_put_decimal(&writer, 7, 4, '0');
		assert_int_equal(bytes_written(&writer), room == 8 ? 8 : 0);
		if (room == 8)
			assert_memory_equal(buffer, "abc-0007", 8);
		for (size_t i = room; i < sizeof(buffer); i++)
			assert_int_equal(buffer[i], 0xee);
	}
}

static void writer_keeps_its_error(void **state)
{
	uint8_t buffer[4];
	struct bytes_writer writer = bytes_writer_open(buffer, sizeof(buffer));

	(void)state;
	bytes_put(&writer, "too long", 8);
	bytes_put_byte(&writer, 'x'); /* fits, but the reply is incomplete already */
	assert_true(writer.failed);
	assert_int_equal(bytes_written(&writer), 0);
}

static void decimals_are_padded(void **state)
{
	static const struct {
		unsigned value, width;
		char pad;
		const char *expected;
	} rows[] = {
		{ 0, 1, '0', "0" },	    { 7, 2, ' ', " 7" },
		{ 22, 2, ' ', "22" },	    { 5, 2, '0', "05" },
		{ 12345, 2, '0', "12345" }, { 4294967295U, 1, ' ', "4294967295" },
		{ 1, 6, '.', ".....1" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char buffer[16] = "";
		struct bytes_writer writer = bytes_writer_open(buffer, sizeof(buffer) - 1);

		bytes_put_decimal(&writer, rows[i].value, rows[i].width, rows[i].pad);
		assert_string_equal(buffer, rows[i].expected);
	}
}

static void unprintable_bytes_are_escaped(void **state)
{
	static const struct {
		const char *bytes;
		size_t size;
		const char *expected;
	} rows[] = {
		{ "plain", 5, "plain" },
		{ "", 0, "" },
		{ "a\r\n\tb\\", 6, "a\\r\\n\\tb\\" },
		{ "\0\x7f\x80\xff", 4, "\\x00\\x7f\\x80\\xff" },
		{ "\x1b[31m", 5, "\\x1b[31m" },
		{ "caf\xc3\xa9", 5, "caf\\xc3\\xa9" },
	};
	char escaped[64];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_string_equal(text_escape(escaped, sizeof(escaped), rows[i].bytes,
						rows[i].size),
				    rows[i].expected);
}

/* A part of it may come from a file name. */
static void a_failure_is_printable(void **state)
{
	struct failure failure;

	(void)state;
	assert_false(failure_set(&failure, EXIT_NOT_STARTED, "no %s", "\x1b[31mfile\n"));
	assert_string_equal(failure.text, "no \\x1b[31mfile\\n");
	errno = EACCES;
	assert_false(failure_set_errno(&failure, "no %s", "\x1b[31mfile"));
	assert_string_equal(failure.text, "no \\x1b[31mfile: Permission denied");
	assert_int_equal(failure.status, EXIT_PERMISSION);
}

static void escaped_text_stays_within_its_capacity(void **state)
{
	static const char bytes[] = "abc\xff\xff\xff\xff";
	char escaped[32];

	(void)state;
	assert_string_equal(text_escape(escaped, 4, "abcd", 4), "...");
	assert_string_equal(text_escape(escaped, 5, "abcd", 4), "abcd");
	assert_string_equal(text_escape(escaped, 8, bytes, 7), "abc...");
	assert_string_equal(text_escape(escaped, 12, bytes, 7), "abc\\xff...");
	for (size_t capacity = 4; capacity < sizeof(escaped); capacity++) {
		memset(escaped, 'X', sizeof(escaped));
		text_escape(escaped, capacity, bytes, sizeof(bytes) - 1);
		assert_true(strlen(escaped) < capacity);
		assert_int_equal(escaped[capacity], 'X');
	}
}

static void numbers_have_digits_only(void **state)
{
	static const char *const wrong[] = {
		"",    " 1",  "1 ",    "+1",  "-1",
		"0x1", "1e1", "70000", "1.0", "99999999999999999999999999"
	};
	unsigned number = 42;

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_false(text_to_number(wrong[i], 1, 65535, &number));
	assert_false(text_to_number("0", 1, 65535, &number));
	assert_int_equal(number, 42);
	assert_true(text_to_number("00065535", 1, 65535, &number));
	assert_int_equal(number, 65535);
}

static void addresses_are_parsed_and_formatted(void **state)
{
	static const struct {
		const char *host;
		const char *shown;
	} rows[] = {
		{ "192.0.2.1", "192.0.2.1:13" },
		{ "0.0.0.0", "0.0.0.0:13" },
		{ "::1", "[::1]:13" },
		{ "2001:db8::1", "[2001:db8::1]:13" },
		{ "2001:0DB8:0:0:0:0:0:1", "[2001:db8::1]:13" },
		{ "fe80::1%lo", "[fe80::1%lo]:13" },
		{ "fe80::1%1", "[fe80::1%lo]:13" },
	};
	struct address address, again;
	char text[ADDRESS_TEXT_SIZE];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_true(address_parse(&address, rows[i].host, 13));
		assert_string_equal(address_format(&address, text), rows[i].shown);
		assert_true(address_parse(&again, rows[i].host, 13));
		assert_true(address_equal(&address, &again));
		assert_true(address_parse(&again, rows[i].host, 14));
		assert_false(address_equal(&address, &again));
	}
}

static void invalid_addresses_are_refused(void **state)
{
	static const char *const wrong[] = {
		"",	      "localhost",
		"1.2.3",      "1.2.3.4.5",
		"256.1.1.1",  "[::1]",
		"::1%",	      "fe80::1%nosuchinterface",
		"::1::",      "1.2.3.4:5",
		"0x7f.0.0.1", "fe80::1%0",
		"fe80::1%x1", "fe80::1%4294967297",
	};
	struct address address;

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_false(address_parse(&address, wrong[i], 13));
}

static void wildcard_addresses(void **state)
{
	struct address any4 = address_any(AF_INET, 5050), any6 = address_any(AF_INET6, 5050);
	struct address one;

	(void)state;
	assert_true(address_is_any(&any4));
	assert_true(address_is_any(&any6));
	assert_false(address_equal(&any4, &any6));
	assert_int_equal(address_port(&any6), 5050);
	assert_true(address_parse(&one, "127.0.0.1", 5050));
	assert_false(address_is_any(&one));
}

static void hosts_and_ports_are_split(void **state)
{
	static const struct {
		const char *text, *host, *port;
	} rows[] = {
		{ "ntp.example", "ntp.example", NULL },
		{ "ntp.example:13", "ntp.example", "13" },
		{ "192.0.2.1:5050", "192.0.2.1", "5050" },
		{ "[::1]", "::1", NULL },
		{ "[::1]:37", "::1", "37" },
		{ "::1", "::1", NULL },
		{ "2001:db8::1:13", "2001:db8::1:13", NULL },
		{ "*:5050", "*", "5050" },
	};
	static const char *const wrong[] = { "",     ":",    ":13",    "host:", "[]",
					     "[]:1", "[::1", "[::1]x", "[::1]:" };
	char text[32], *host, *port;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		strcpy(text, rows[i].text);
		assert_true(address_split(text, &host, &port));
		assert_string_equal(host, rows[i].host);
		if (rows[i].port)
			assert_string_equal(port, rows[i].port);
		else
			assert_null(port);
	}
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		strcpy(text, wrong[i]);
		assert_false(address_split(text, &host, &port));
	}
}

/* IPv6 addresses are compared as four words. */
static void addresses_that_differ_in_one_word_are_different(void **state)
{
	static const char *const hosts[] = { "1::", "0:0:1::", "::1:0:0", "::1" };
	struct address any = address_any(AF_INET6, 13), one, zoned;

	(void)state;
	for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
		assert_true(address_parse(&one, hosts[i], 13));
		assert_false(address_is_any(&one));
		assert_false(address_equal(&any, &one));
	}
	zoned = one;
	zoned.ip6.sin6_scope_id = 1;
	assert_false(address_equal(&one, &zoned));
}

/* The interface may have been removed since the address was parsed. */
static void a_zone_without_a_name_is_formatted_as_a_number(void **state)
{
	char text[ADDRESS_TEXT_SIZE];
	struct address address;

	(void)state;
	assert_true(address_parse(&address, "fe80::1", 13));
	address.ip6.sin6_scope_id = 4000000000;
	assert_string_equal(address_format(&address, text), "[fe80::1%4000000000]:13");
}

static void a_host_that_is_too_long_is_refused(void **state)
{
	char host[1024];
	struct address address;

	(void)state;
	for (size_t length = 1; length < sizeof(host); length++) {
		memset(host, '1', length);
		host[length] = '\0';
		assert_int_equal(address_parse(&address, host, 13), false);
		memset(host, 'f', length);
		memcpy(host, "::", length < 2 ? length : 2);
		assert_int_equal(address_parse(&address, host, 13), length >= 2 && length <= 6);
	}
}

static void reader_fails_at_the_end_of_its_bytes(void **state)
{
	static const uint8_t bytes[] = { 1, 2, 3 };
	struct bytes_reader reader = bytes_reader_open(bytes, sizeof(bytes));
	char text[32];
	struct bytes_writer writer = bytes_writer_open(text, sizeof(text));

	(void)state;
	assert_int_equal(bytes_get_16(&reader), 0x0102);
	assert_int_equal(bytes_get_16(&reader), 0);
	assert_true(reader.failed);
	bytes_put_decimal(&writer, 7, 20, ' '); /* the padding is limited to 16 bytes */
	assert_int_equal(bytes_written(&writer), 16);
}

static void addresses_have_a_network(void **state)
{
	static const struct {
		const char *host;
		uint64_t network;
	} rows[] = {
		{ "192.0.2.255", 0x0400000000c00002 },
		{ "0.0.0.1", 0x0400000000000000 },
		{ "::ffff:192.0.2.1", 0x0400000000c00002 },
		{ "2001:db8:1:ffff::1", 0x060020010db80001 },
		{ "::1", 0x0600000000000000 },
	};
	struct address address;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_true(address_parse(&address, rows[i].host, 13));
		assert_true(address_network(&address) == rows[i].network);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(writer_stays_within_its_buffer),
		cmocka_unit_test(writer_keeps_its_error),
		cmocka_unit_test(decimals_are_padded),
		cmocka_unit_test(unprintable_bytes_are_escaped),
		cmocka_unit_test(a_failure_is_printable),
		cmocka_unit_test(escaped_text_stays_within_its_capacity),
		cmocka_unit_test(numbers_have_digits_only),
		cmocka_unit_test(addresses_are_parsed_and_formatted),
		cmocka_unit_test(invalid_addresses_are_refused),
		cmocka_unit_test(wildcard_addresses),
		cmocka_unit_test(addresses_that_differ_in_one_word_are_different),
		cmocka_unit_test(addresses_have_a_network),
		cmocka_unit_test(a_zone_without_a_name_is_formatted_as_a_number),
		cmocka_unit_test(a_host_that_is_too_long_is_refused),
		cmocka_unit_test(reader_fails_at_the_end_of_its_bytes),
		cmocka_unit_test(hosts_and_ports_are_split),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
