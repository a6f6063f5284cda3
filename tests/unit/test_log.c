/* The log on standard error, which here is a pipe: one line a record, and never in the way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/log.h"

static int standard_error, reader;

static int open_pipe(void **state)
{
	int pipes[2];

	(void)state;
	standard_error = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);
	if (pipe2(pipes, O_CLOEXEC | O_NONBLOCK) < 0 || dup2(pipes[1], STDERR_FILENO) < 0)
		return -1;
	close(pipes[1]);
	reader = pipes[0];
	log_open("test", LOG_TO_TERMINAL, LOG_DAEMON, false);
	return 0;
}

static int close_pipe(void **state)
{
	(void)state;
	close(reader);
	return dup2(standard_error, STDERR_FILENO) < 0 || close(standard_error) < 0 ? -1 : 0;
}

/* What was written since the last look. */
static const char *written(void)
{
	static char text[100000];
	ssize_t size = read(reader, text, sizeof(text) - 1);

	text[size > 0 ? size : 0] = '\0';
	return text;
}

static void a_record_is_one_line(void **state)
{
	(void)state;
	log_write(LOG_INFO, "%s", "two\nlines\r\x1b[31m\xff");
	assert_string_equal(written(), "test: two\\nlines\\r\\x1b[31m\\xff\n");
	log_open("test", LOG_TO_JOURNAL, LOG_DAEMON, false);
	log_write(LOG_ERR, "%d", 7);
	assert_string_equal(written(), "<3>7\n");
}

static void a_long_record_is_cut(void **state)
{
	char text[5000];
	const char *record;

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	log_write(LOG_INFO, "begin %s", text);
	record = written();
	assert_memory_equal(record, "test: begin xxx", 15);
	assert_in_range(strlen(record), 100, sizeof(text) - 1);
	assert_ptr_equal(strchr(record, '\n'), record + strlen(record) - 1);
}

static void debug_records_are_written_if_asked_for(void **state)
{
	(void)state;
	log_write(LOG_DEBUG, "nobody asked");
	assert_string_equal(written(), "");
	log_open("test", LOG_TO_TERMINAL, LOG_DAEMON, true);
	log_write(LOG_DEBUG, "asked");
	assert_string_equal(written(), "test: asked\n");
}

/* A full pipe loses records, and says how many as soon as it can. */
static void what_is_lost_is_told(void **state)
{
	char text[400];
	unsigned count = 0;

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	while (write(STDERR_FILENO, text, sizeof(text)) > 0)
		count++;
	assert_in_range(count, 1, 1000);
	errno = ENOENT;
	log_write(LOG_INFO, "lost");
	log_write(LOG_INFO, "lost");
	assert_int_equal(errno, ENOENT); /* it tells of what went wrong, and is no part of it */
	while (*written())
		;
	log_write(LOG_INFO, "there");
	assert_string_equal(written(), "test: 2 log records were lost here\ntest: there\n");
}

/* The same again and again is told once in a while, with how often it was. */
static void records_are_held_to_a_limit(void **state)
{
	struct log_limit limit = { 0 };

	(void)state;
	for (int i = 0; i < 3; i++)
		log_limited(&limit, LOG_INFO, "number %d", i);
	assert_string_equal(written(), "test: number 0\n");
	limit.next = 0; /* the time has come */
	log_limited(&limit, LOG_INFO, "number %d", 3);
	assert_string_equal(written(), "test: number 3\ntest: the same 2 times more in between\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_record_is_one_line, open_pipe, close_pipe),
		cmocka_unit_test_setup_teardown(a_long_record_is_cut, open_pipe, close_pipe),
		cmocka_unit_test_setup_teardown(debug_records_are_written_if_asked_for, open_pipe,
						close_pipe),
		cmocka_unit_test_setup_teardown(what_is_lost_is_told, open_pipe, close_pipe),
		cmocka_unit_test_setup_teardown(records_are_held_to_a_limit, open_pipe, close_pipe),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
