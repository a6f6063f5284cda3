/* Messages of an upgrade, sent through a socket and read back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/upgrade/upgrade_message.h"

#define ALLOCATIONS_MAX 100

static int ends[2];
static int allowed = -1; /* allocations until one fails; -1: none fails */

static void *allocate(size_t size)
{
	return allowed >= 0 && allowed-- == 0 ? NULL : malloc(size);
}

static int open_ends(void **state)
{
	(void)state;
	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends);
}

static int close_ends(void **state)
{
	(void)state;
	close(ends[0]);
	close(ends[1]);
	return 0;
}

static struct upgrade_message listener_message(void)
{
	return (struct upgrade_message){
		.item = UPGRADE_LISTENER,
		.fd = ends[0],
		.listener = { .protocol = protocol_find("ntp"), .shard = 3, .inherited = true },
	};
}

static void a_listener_arrives_with_its_descriptor(void **state)
{
	struct upgrade_message sent = listener_message(), received;

	(void)state;
	assert_true(upgrade_message_send(ends[0], &sent));
	assert_true(upgrade_message_receive(ends[1], &received));
	assert_int_equal(received.item, UPGRADE_LISTENER);
	assert_ptr_equal(received.listener.protocol, protocol_find("ntp"));
	assert_int_equal(received.listener.shard, 3);
	assert_true(received.listener.inherited);
	assert_true(fcntl(received.fd, F_GETFD) & FD_CLOEXEC);
	close(received.fd);
}

static void the_end_has_the_watchdog(void **state)
{
	struct upgrade_message sent = { .item = UPGRADE_END, .fd = -1, .watchdog = 15000000000 };
	struct upgrade_message received;

	(void)state;
	assert_true(upgrade_message_send(ends[0], &sent));
	assert_true(upgrade_message_receive(ends[1], &received));
	assert_int_equal(received.item, UPGRADE_END);
	assert_true(received.watchdog == sent.watchdog && received.fd == -1);
}

static void an_end_without_a_watchdog_is_unknown(void **state)
{
	struct upgrade_message message = { .item = UPGRADE_END };

	(void)state;
	upgrade_message_read("{\"item\":\"end\"}", &message);
	assert_int_equal(message.item, UPGRADE_UNKNOWN);
	upgrade_message_read("{\"item\":\"end\",\"watchdog\":-1}", &message);
	assert_int_equal(message.item, UPGRADE_UNKNOWN);
}

/* When an allocation fails the receiver gets a refusal instead of the message. */
static void no_message_is_sent_in_part(void **state)
{
	struct upgrade_message sent[] = { listener_message(), { .item = UPGRADE_END, .fd = -1 } };

	(void)state;
	for (size_t i = 0; i < sizeof(sent) / sizeof(sent[0]); i++) {
		bool whole = false;
		int allocation;

		for (allocation = 0; !whole && allocation < ALLOCATIONS_MAX; allocation++) {
			struct upgrade_message received;

			json_set_alloc_funcs(allocate, free);
			allowed = allocation;
			whole = upgrade_message_send(ends[0], &sent[i]);
			allowed = -1;
			assert_true(upgrade_message_receive(ends[1], &received));
			assert_int_equal(received.item, whole ? sent[i].item : UPGRADE_REFUSED);
			if (received.fd >= 0)
				close(received.fd);
		}
		assert_true(whole && allocation > 5);
	}
	json_set_alloc_funcs(malloc, free);
}

/* Sends text with descriptors attached, as no daemon does. */
static void send_raw(const char *text, size_t count)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(2 * sizeof(int))] = { 0 };
	struct iovec bytes = { .iov_base = (char *)text, .iov_len = strlen(text) };
	struct msghdr message = {
		.msg_iov = &bytes,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = CMSG_SPACE(count * sizeof(int)),
	};
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);

	*header = (struct cmsghdr){ .cmsg_len = CMSG_LEN(count * sizeof(int)),
				    .cmsg_level = SOL_SOCKET,
				    .cmsg_type = SCM_RIGHTS };
	memcpy(CMSG_DATA(header), ends, count * sizeof(int));
	assert_int_equal(sendmsg(ends[0], &message, 0), strlen(text));
}

/* The number that the next descriptor gets. */
static int lowest_free(void)
{
	int fd = dup(ends[0]);

	close(fd);
	return fd;
}

/* Of two descriptors the second is closed, and that of an empty message. */
static void no_attached_descriptor_is_lost(void **state)
{
	struct upgrade_message received;
	int before = lowest_free();

	(void)state;
	send_raw("{\"item\":\"control\"}", 2);
	assert_true(upgrade_message_receive(ends[1], &received));
	assert_int_equal(received.item, UPGRADE_CONTROL);
	assert_int_equal(received.fd, before);
	close(received.fd);
	assert_int_equal(lowest_free(), before);
	send_raw("", 1);
	assert_false(upgrade_message_receive(ends[1], &received));
	assert_int_equal(received.fd, -1);
	assert_int_equal(lowest_free(), before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_listener_arrives_with_its_descriptor, open_ends,
						close_ends),
		cmocka_unit_test_setup_teardown(the_end_has_the_watchdog, open_ends, close_ends),
		cmocka_unit_test(an_end_without_a_watchdog_is_unknown),
		cmocka_unit_test_setup_teardown(no_attached_descriptor_is_lost, open_ends,
						close_ends),
		cmocka_unit_test_setup_teardown(no_message_is_sent_in_part, open_ends, close_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
