/* Parsing Daytime replies. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "client/query.h"

#define CTIME "Sun Nov 22 19:15:08 2026"

static void expect_text(const void *bytes, size_t size, const char *text)
{
	struct sample sample = { .valid = false };

	assert_true(query_daytime_parse(&sample, bytes, size));
	assert_true(sample.valid);
	assert_string_equal(sample.text, text);
}

static void expect_error(const void *bytes, size_t size, const char *error)
{
	struct sample sample = { .valid = false };

	assert_false(query_daytime_parse(&sample, bytes, size));
	assert_false(sample.valid);
	assert_string_equal(sample.error, error);
}

/* For literals that contain NUL bytes. */
#define EXPECT_TEXT(bytes, text)   expect_text(bytes, sizeof(bytes) - 1, text)
#define EXPECT_ERROR(bytes, error) expect_error(bytes, sizeof(bytes) - 1, error)

static void accepts_real_replies(void **state)
{
	(void)state;
	EXPECT_TEXT(CTIME "\r\n", CTIME);
	EXPECT_TEXT("22 NOV 2026 19:15:08 UTC\r\n", "22 NOV 2026 19:15:08 UTC");
	EXPECT_TEXT("\n61366 26-11-22 19:15:08 00 0 0 895.5 UTC(NIST) * \n",
		    "61366 26-11-22 19:15:08 00 0 0 895.5 UTC(NIST) * ");
	EXPECT_TEXT("2026-11-22T19:15:08+00:00\n", "2026-11-22T19:15:08+00:00");
	EXPECT_TEXT("Sunday, November 22, 2026 19:15:08-UTC\r\n",
		    "Sunday, November 22, 2026 19:15:08-UTC");
	EXPECT_TEXT("~", "~");
	EXPECT_TEXT(" ", " ");
}

static void accepts_every_line_end(void **state)
{
	(void)state;
	EXPECT_TEXT(CTIME, CTIME);
	EXPECT_TEXT(CTIME "\n", CTIME);
	EXPECT_TEXT(CTIME "\r", CTIME);
	EXPECT_TEXT(CTIME "\r\n", CTIME);
	EXPECT_TEXT(CTIME "\n\r", CTIME);
	EXPECT_TEXT(CTIME "\r\n\r\n", CTIME);
	EXPECT_TEXT("\r\n\n\r" CTIME, CTIME);
	EXPECT_TEXT("\n" CTIME "\n", CTIME);
	EXPECT_TEXT(CTIME "\n\0", CTIME);
	EXPECT_TEXT(CTIME "\0", CTIME);
}

static void rejects_empty_reply(void **state)
{
	(void)state;
	EXPECT_ERROR("", "empty reply");
	EXPECT_ERROR("\n", "empty reply");
	EXPECT_ERROR("\r\n", "empty reply");
	EXPECT_ERROR("\r\n\0", "empty reply");
	EXPECT_ERROR("\r\r\n\n\n\r", "empty reply");
}

static void rejects_more_than_256_bytes(void **state)
{
	char bytes[512], text[257], error[128];

	(void)state;
	memset(bytes, 'A', sizeof(bytes));
	memset(text, 'A', 256);
	text[256] = '\0';
	expect_text(bytes, 255, text + 1);
	expect_text(bytes, 256, text);

	strcpy(error, "reply is too long: \"");
	memset(error + strlen(error), 'A', 64);
	strcpy(error + strlen("reply is too long: \"") + 64, "...\"");
	expect_error(bytes, 257, error);
	expect_error(bytes, sizeof(bytes), error);

	bytes[256] = '\r';
	bytes[257] = '\n';
	expect_text(bytes, 258, text);
}

static void rejects_binary(void **state)
{
	(void)state;
	EXPECT_ERROR("\0", "reply is not text: \"\\x00\"");
	EXPECT_ERROR("\0\xff\r\n", "reply is not text: \"\\x00\\xff\"");
	EXPECT_ERROR(CTIME "\n\0\0", "reply is not text: \"" CTIME "\\n\\x00\"");
	EXPECT_ERROR(CTIME "\0\n", "reply is not text: \"" CTIME "\\x00\"");
	EXPECT_ERROR("a\tb", "reply is not text: \"a\\tb\"");
	EXPECT_ERROR("a\\\x7f", "reply is not text: \"a\\\\x7f\"");
	EXPECT_ERROR("\x1b[2J", "reply is not text: \"\\x1b[2J\"");
	EXPECT_ERROR("h\xc3\xb6", "reply is not text: \"h\\xc3\\xb6\"");
	EXPECT_ERROR("\x16\x03\x01\n\x02", "reply is not text: \"\\x16\\x03\\x01\\n\\x02\"");
}

static void rejects_several_lines(void **state)
{
	(void)state;
	EXPECT_ERROR("a\r\nb\r\n", "reply has several lines: \"a\\r\\nb\"");
	EXPECT_ERROR("a\nb", "reply has several lines: \"a\\nb\"");
	EXPECT_ERROR("\na\rb\n", "reply has several lines: \"a\\rb\"");
}

static void shows_at_most_64_bytes(void **state)
{
	char bytes[256], error[SAMPLE_ERROR_SIZE] = "reply is not text: \"";

	(void)state;
	memset(bytes, 0xff, sizeof(bytes));
	for (size_t i = 0; i < 64; i++)
		strcat(error, "\\xff");
	strcat(error, "\"");
	expect_error(bytes, 64, error);
	error[strlen(error) - 1] = '\0';
	strcat(error, "...\"");
	expect_error(bytes, 65, error);
	expect_error(bytes, sizeof(bytes), error);
}

static void random_replies_have_text_or_error(void **state)
{
	unsigned char bytes[512];

	(void)state;
	srandom(1);
	for (int run = 0; run < 1000; run++) {
		struct sample sample = { .valid = false };
		size_t size = (size_t)random() % (sizeof(bytes) + 1);

		for (size_t i = 0; i < size; i++)
			bytes[i] = (unsigned char)random() % 100 + 30;
		query_daytime_parse(&sample, bytes, size);
		assert_int_equal(sample.valid, sample.error[0] == '\0');
		assert_int_equal(sample.valid, sample.text[0] != '\0');
		for (const char *byte = sample.valid ? sample.text : sample.error; *byte; byte++)
			assert_in_range(*byte, ' ', '~');
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(accepts_real_replies),
		cmocka_unit_test(accepts_every_line_end),
		cmocka_unit_test(rejects_empty_reply),
		cmocka_unit_test(rejects_more_than_256_bytes),
		cmocka_unit_test(rejects_binary),
		cmocka_unit_test(rejects_several_lines),
		cmocka_unit_test(shows_at_most_64_bytes),
		cmocka_unit_test(random_replies_have_text_or_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
