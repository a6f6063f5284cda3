/* Messages on the control socket, and messages of an upgrade. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/control/control_message.h"
#include "server/upgrade/upgrade_message.h"

static void requests_are_written_and_read(void **state)
{
	static const char *const bad[] = { "",
					   "status",
					   "{}",
					   "[]",
					   "{\"version\":1}",
					   "{\"version\":2,\"command\":\"status\"}",
					   "{\"version\":1,\"command\":\"dance\"}",
					   "{\"version\":1,\"command\":[\"status\"]}",
					   "{\"version\":\"1\",\"command\":\"status\"}" };

	(void)state;
	for (int request = CONTROL_COMMAND_STATUS; request < CONTROL_COMMAND_INVALID; request++)
		assert_int_equal(control_message_read(
					 control_message_command((enum control_command)request)),
				 request);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(control_message_read(bad[i]), CONTROL_COMMAND_INVALID);
}

static void replies_are_written_and_read(void **state)
{
	char *reply = control_message_reply(EXIT_CONFIGURATION, "t.conf:1: \"x\"\nt.conf:2: \\y\n");
	char text[64];

	(void)state;
	assert_non_null(reply);
	assert_int_equal(control_message_read_reply(reply, text, sizeof(text)), EXIT_CONFIGURATION);
	assert_string_equal(text, "t.conf:1: \"x\"\nt.conf:2: \\y\n");
	free(reply);
	assert_int_equal(control_message_read_reply("nonsense", text, sizeof(text)),
			 EXIT_NOT_STARTED);
	assert_int_equal(control_message_read_reply(CONTROL_MESSAGE_FAILED, text, sizeof(text)),
			 EXIT_NOT_STARTED);
	assert_string_equal(text, "out of memory");
}

static void assert_same_file(int a, int b)
{
	struct stat first, second;

	assert_int_equal(fstat(a, &first), 0);
	assert_int_equal(fstat(b, &second), 0);
	assert_true(first.st_dev == second.st_dev && first.st_ino == second.st_ino);
}

static void an_upgrade_message_arrives_with_its_descriptor(void **state)
{
	const struct upgrade_message sent[] = {
		{ .item = UPGRADE_PIDFILE, .fd = open("/dev/null", O_RDONLY) },
		{ .item = UPGRADE_NOTIFY, .fd = open("/dev/zero", O_RDONLY) },
		{ .item = UPGRADE_LISTENER,
		  .fd = open("/", O_RDONLY | O_DIRECTORY),
		  .listener = { .protocol = protocol_find("ntp"),
				.shard = 255,
				.inherited = true } },
		{ .item = UPGRADE_END, .fd = -1, .watchdog = 15 * INT64_C(1000000000) },
		{ .item = UPGRADE_REFUSED, .fd = -1, .text = "timed out" },
	};
	struct upgrade_message got;
	int ends[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), 0);
	for (size_t i = 0; i < sizeof(sent) / sizeof(sent[0]); i++) {
		assert_true(upgrade_message_send(ends[0], &sent[i]));
		assert_true(upgrade_message_receive(ends[1], &got));
		assert_int_equal(got.item, sent[i].item);
		assert_ptr_equal(got.listener.protocol, sent[i].listener.protocol);
		assert_int_equal(got.listener.shard, sent[i].listener.shard);
		assert_int_equal(got.listener.inherited, sent[i].listener.inherited);
		assert_int_equal(got.watchdog, sent[i].watchdog);
		assert_string_equal(got.text, sent[i].text);
		assert_int_equal(got.fd < 0, sent[i].fd < 0);
		if (got.fd < 0)
			continue;
		assert_same_file(got.fd, sent[i].fd);
		close(got.fd);
		close(sent[i].fd);
	}
	close(ends[0]);
	assert_false(upgrade_message_receive(ends[1], &got));
	assert_int_equal(errno, 0);
	assert_false(upgrade_message_send(ends[1], &sent[3]));
	assert_int_equal(errno, EPIPE);
	close(ends[1]);
}

static void an_upgrade_message_of_a_newer_version_is_unknown(void **state)
{
	static const char *const unknown[] = {
		"",
		"listen ntp 3",
		"[]",
		"{}",
		"{\"item\":1}",
		"{\"item\":\"sandbox\"}",
		"{\"item\":\"listener\"}",
		"{\"item\":\"listener\",\"protocol\":\"chargen\",\"shard\":0,\"inherited\":false}",
		"{\"item\":\"listener\",\"protocol\":\"ntp\",\"shard\":256,\"inherited\":false}",
		"{\"item\":\"listener\",\"protocol\":\"ntp\",\"shard\":-1,\"inherited\":false}",
	};
	struct upgrade_message message;

	(void)state;
	for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++) {
		upgrade_message_read(unknown[i], &message);
		assert_int_equal(message.item, UPGRADE_UNKNOWN);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(requests_are_written_and_read),
		cmocka_unit_test(replies_are_written_and_read),
		cmocka_unit_test(an_upgrade_message_arrives_with_its_descriptor),
		cmocka_unit_test(an_upgrade_message_of_a_newer_version_is_unknown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
