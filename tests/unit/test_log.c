/* The log on standard error, which is a pipe here: one line for each record, and no waiting. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
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

/* The output since the last call. */
static const char *read_output(void)
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
	assert_string_equal(read_output(), "test: two\\nlines\\r\\x1b[31m\\xff\n");
	log_open("test", LOG_TO_JOURNAL, LOG_DAEMON, false);
	log_write(LOG_ERR, "%d", 7);
	assert_string_equal(read_output(), "<3>7\n");
}

/* At a terminal, too: a part of it may come from a file, a server or another user. */
static void a_message_of_a_command_is_one_line(void **state)
{
	int standard_output = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 0);

	(void)state;
	log_print(LOG_ERR, "%s", "two\nlines\r\x1b[31m\xff");
	assert_string_equal(read_output(), "test: two\\nlines\\r\\x1b[31m\\xff\n");
	assert_int_equal(fflush(stdout), 0);
	assert_int_equal(dup2(STDERR_FILENO, STDOUT_FILENO), STDOUT_FILENO);
	log_result("%s", "two\nlines\r\x1b[31m\xff");
	fflush(stdout);
	assert_int_equal(dup2(standard_output, STDOUT_FILENO), STDOUT_FILENO);
	close(standard_output);
	assert_string_equal(read_output(), "test: two\\nlines\\r\\x1b[31m\\xff\n");
}

static void a_long_record_is_truncated(void **state)
{
	char text[5000];
	const char *record;

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	log_write(LOG_INFO, "begin %s", text);
	record = read_output();
	assert_memory_equal(record, "test: begin xxx", 15);
	assert_in_range(strlen(record), 100, sizeof(text) - 1);
	assert_ptr_equal(strchr(record, '\n'), record + strlen(record) - 1);
}

static void debug_records_are_written_if_enabled(void **state)
{
	(void)state;
	log_write(LOG_DEBUG, "disabled");
	assert_string_equal(read_output(), "");
	log_open("test", LOG_TO_TERMINAL, LOG_DAEMON, true);
	log_write(LOG_DEBUG, "enabled");
	assert_string_equal(read_output(), "test: enabled\n");
}

/* A full pipe loses records. The next record says how many. */
static void lost_records_are_counted(void **state)
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
	assert_int_equal(errno, ENOENT); /* logging keeps errno */
	while (*read_output())
		;
	log_write(LOG_INFO, "there");
	assert_string_equal(read_output(), "test: 2 log records were lost here\ntest: there\n");
}

/* A repeated record is written once in a while, with the number of repetitions. */
static void repeated_records_are_limited(void **state)
{
	struct log_limit limit = { 0 };

	(void)state;
	for (int i = 0; i < 3; i++)
		log_limited(&limit, LOG_INFO, "number %d", i);
	assert_string_equal(read_output(), "test: number 0\n");
	limit.next = 0; /* the time has come */
	log_limited(&limit, LOG_INFO, "number %d", 3);
	assert_string_equal(read_output(),
			    "test: number 3\ntest: the same 2 times more in between\n");
}

/* syslogd's end of a stream at /dev/log, which takes this many bytes of a send at most. */
static int syslogd = -1;
static size_t send_max;

/* NOLINTBEGIN(readability-inconsistent-declaration-parameter-name): reserved in the library */

/* In place of the C library's: /dev/log is a stream. */
int connect(int fd, const struct sockaddr *address, socklen_t length)
{
	int type, pair[2];
	socklen_t size = sizeof(type);

	assert_string_equal(((const struct sockaddr_un *)address)->sun_path, "/dev/log");
	assert_in_range(length, 10, sizeof(struct sockaddr_un));
	assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK); /* its queue may be full */
	assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size), 0);
	if (type != SOCK_STREAM) {
		errno = EPROTOTYPE;
		return -1;
	}
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
	assert_int_equal(dup2(pair[0], fd), fd);
	close(pair[0]);
	syslogd = pair[1];
	return 0;
}

ssize_t send(int fd, const void *data, size_t size, int flags)
{
	if (send_max == 0) {
		errno = EAGAIN;
		return -1;
	}
	return sendto(fd, data, size < send_max ? size : send_max, flags, NULL, 0);
}

/* NOLINTEND(readability-inconsistent-declaration-parameter-name) */

/* The text of each record in what syslogd has received, which NULs end; then "+" if the end of the
 * last one is missing. */
static const char *receive_records(void)
{
	static char texts[1000];
	char data[1000] = "";
	ssize_t size = read(syslogd, data, sizeof(data) - 1);
	char *text = texts;

	texts[0] = '\0';
	for (char *record = data; record < data + size; record += strlen(record) + 1) {
		assert_int_equal(record[0], '<');
		text += sprintf(text, "%s%s;",
				strstr(record, "]: ") ? strstr(record, "]: ") + 3 : "",
				record + strlen(record) == data + size ? "+" : "");
	}
	return texts;
}

/* Each record ends in a NUL; the rest of a record comes before the next one. */
static void a_stream_gets_whole_records(void **state)
{
	(void)state;
	log_open("test", LOG_TO_SYSLOG, LOG_DAEMON, false);
	send_max = 1000;
	log_write(LOG_INFO, "first");
	log_write(LOG_INFO, "second");
	assert_string_equal(receive_records(), "first;second;");
	send_max = 36;
	log_write(LOG_INFO, "a text of more than 36 bytes");
	log_write(LOG_INFO, "third");
	send_max = 1000;
	log_write(LOG_INFO, "fourth");
	assert_string_equal(receive_records(), "a text of more than 36 bytes;third;fourth;");
	log_close();
	close(syslogd);
}

/* The next syslogd gets a record whole that the last one got in part. */
static void a_new_stream_gets_whole_records(void **state)
{
	(void)state;
	send_max = 36;
	log_open("test", LOG_TO_SYSLOG, LOG_DAEMON, false);
	log_write(LOG_INFO, "a text of more than 36 bytes");
	close(syslogd);
	send_max = 1000;
	log_write(LOG_INFO, "second");
	assert_string_equal(receive_records(), "a text of more than 36 bytes;second;");
	send_max = 0;
	log_write(LOG_INFO, "third");
	send_max = 1000;
	log_write(LOG_INFO, "fourth");
	assert_string_equal(receive_records(), "1 log records were lost here;fourth;");
	log_close();
	close(syslogd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_record_is_one_line, open_pipe, close_pipe),
		cmocka_unit_test_setup_teardown(a_message_of_a_command_is_one_line, open_pipe,
						close_pipe),
		cmocka_unit_test_setup_teardown(a_long_record_is_truncated, open_pipe, close_pipe),
		cmocka_unit_test_setup_teardown(debug_records_are_written_if_enabled, open_pipe,
						close_pipe),
		cmocka_unit_test_setup_teardown(lost_records_are_counted, open_pipe, close_pipe),
		cmocka_unit_test_setup_teardown(repeated_records_are_limited, open_pipe,
						close_pipe),
		cmocka_unit_test(a_stream_gets_whole_records),
		cmocka_unit_test(a_new_stream_gets_whole_records),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
