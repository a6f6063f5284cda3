/* Connections after their reply: how they end, and which one ends when slots run out. */
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/sandbox.h"
#include "server/request/streams.h"
#include "server/sockets/socket.h"

#define CAPACITY    3
#define REPLY_SIZE  26
#define START	    CLOCK_SECOND
#define RESET_AFTER (5 * CLOCK_SECOND)

static struct stats stats;
static struct service service;
static struct top_clients top_clients;
static struct streams streams;
static struct listener listener;
static struct counters *const counters = &stats.workers[0].counters;
static int epoll;

static int begin(void **state)
{
	socklen_t size = sizeof(listener.address);

	(void)state;
	memset(&stats, 0, sizeof(stats));
	memset(&service, 0, sizeof(service));
	memset(&top_clients, 0, sizeof(top_clients));
	service.stats = &stats;
	epoll = epoll_create1(EPOLL_CLOEXEC);
	listener = (struct listener){ .protocol = protocol_find("daytime/tcp") };
	address_parse(&listener.address, "127.0.0.1", 0);
	listener.fd = socket_open(listener.protocol, &listener.address, false, geteuid());
	if (epoll < 0 || listener.fd < 0 ||
	    getsockname(listener.fd, &listener.address.any, &size) < 0)
		return -1;
	return streams_open(&streams, epoll, &service, counters, &top_clients, CAPACITY) ? 0 : -1;
}

static int end(void **state)
{
	(void)state;
	streams_close(&streams);
	close(listener.fd);
	close(epoll);
	return 0;
}

/* A client whose connection was accepted at now and got its reply. */
static int connect_at(int64_t now)
{
	struct pollfd waits = { .fd = listener.fd, .events = POLLIN };
	int client = socket(AF_INET, SOCK_STREAM, 0);
	uint64_t before = counter_read(&counters->requests[0]);

	assert_int_equal(connect(client, &listener.address.any, address_length(&listener.address)),
			 0);
	assert_int_equal(poll(&waits, 1, 10000), 1);
	streams_accept(&streams, &listener, now);
	assert_int_equal(counter_read(&counters->requests[0]), before + 1);
	return client;
}

static void await(int client, short events)
{
	struct pollfd waits = { .fd = client, .events = events };

	assert_int_equal(poll(&waits, 1, 10000), 1);
}

/* Reads the reply, and the end of the stream. */
static void assert_reply(int client)
{
	char bytes[REPLY_SIZE + 1];

	await(client, POLLIN);
	assert_int_equal(recv(client, bytes, sizeof(bytes), MSG_WAITALL), REPLY_SIZE);
}

/* Whether a connection of that time is still there. */
static bool is_kept(int64_t accepted)
{
	for (uint32_t i = 0; i < streams.used; i++) {
		if (streams.slots[i].state != STREAM_FREE && streams.slots[i].accepted == accepted)
			return true;
	}
	return false;
}

static void the_oldest_connection_makes_room(void **state)
{
	int clients[5];

	(void)state;
	for (int i = 0; i < 5; i++)
		clients[i] = connect_at(START + i);
	assert_int_equal(counter_read(&counters->connections), CAPACITY);
	for (int i = 0; i < 5; i++) {
		assert_int_equal(is_kept(START + i), i >= 2);
		assert_reply(clients[i]);
		close(clients[i]);
	}
}

/* Those that were looked at, and wait for the client's end, are older than all others. */
static void a_polled_connection_makes_room_first(void **state)
{
	int clients[4];

	(void)state;
	for (int i = 0; i < 2; i++)
		clients[i] = connect_at(START + i);
	streams_tick(&streams, START + CLOCK_MILLISECOND);
	assert_int_equal(streams.slots[0].state, STREAM_POLLED);
	for (int i = 2; i < 4; i++)
		clients[i] = connect_at(START + CLOCK_SECOND + i);
	assert_false(is_kept(START));
	assert_true(is_kept(START + 1));
	for (int i = 0; i < 4; i++)
		close(clients[i]);
}

static void a_client_that_closes_is_forgotten(void **state)
{
	int client = connect_at(START);

	(void)state;
	assert_reply(client);
	close(client);
	await(streams.slots[0].fd, POLLRDHUP);
	streams_tick(&streams, START + CLOCK_MILLISECOND);
	assert_int_equal(streams.open, 0);
	assert_int_equal(counter_read(&counters->connections), 0);
}

static void a_client_that_stays_is_reset_after_5_seconds(void **state)
{
	int client = connect_at(START), error = 0;
	socklen_t size = sizeof(error);

	(void)state;
	assert_reply(client);
	assert_int_equal(streams_tick(&streams, START + CLOCK_SECOND), START + RESET_AFTER);
	assert_int_equal(streams_tick(&streams, START + RESET_AFTER - 1), START + RESET_AFTER);
	assert_int_equal(streams.open, 1);
	assert_true(streams_tick(&streams, START + RESET_AFTER) == INT64_MAX);
	assert_int_equal(streams.open, 0);
	await(client, 0);
	getsockopt(client, SOL_SOCKET, SO_ERROR, &error, &size);
	assert_int_not_equal(error, 0);
	close(client);
}

/* Until they are more than a megabyte, bytes are discarded, so that no reset discards the reply. */
static void a_client_that_sends_without_end_is_reset(void **state)
{
	static const char bytes[1 << 14];
	int client = connect_at(START);
	size_t sent = 0;

	(void)state;
	streams_tick(&streams, START + CLOCK_MILLISECOND);
	assert_int_equal(streams.slots[0].state, STREAM_POLLED);
	while (streams.open > 0 && sent < (4 << 20)) {
		ssize_t size = send(client, bytes, sizeof(bytes), MSG_DONTWAIT | MSG_NOSIGNAL);

		sent += size > 0 ? (size_t)size : 0;
		streams_readable(&streams, 0);
	}
	assert_int_equal(streams.open, 0);
	assert_in_range(sent, 1 << 20, (1 << 20) + (1 << 19));
	close(client);
}

static void no_descriptor_is_inherited_by_a_child(void **state)
{
	int client = connect_at(START);

	(void)state;
	assert_int_equal(fcntl(streams.slots[0].fd, F_GETFD), FD_CLOEXEC);
	assert_int_equal(fcntl(streams.reserve, F_GETFD), FD_CLOEXEC);
	assert_int_equal(fcntl(listener.fd, F_GETFD), FD_CLOEXEC);
	close(client);
}

/* The reserve is for one client; then accepting pauses, since the next would find none. */
static void without_descriptors_a_client_gets_its_reply(void **state)
{
	struct rlimit before, few = { .rlim_cur = 64 };
	int client = socket(AF_INET, SOCK_STREAM, 0), fds[64], count = 0;
	struct pollfd waits = { .fd = listener.fd, .events = POLLIN };

	(void)state;
	if (sandbox_is_instrumented()) /* valgrind accepts it, and then takes its descriptor away */
		skip();
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	few.rlim_max = before.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	while ((fds[count] = dup(listener.fd)) >= 0)
		count++;
	assert_int_equal(connect(client, &listener.address.any, address_length(&listener.address)),
			 0);
	assert_int_equal(poll(&waits, 1, 10000), 1);
	assert_false(streams_accept(&streams, &listener, START));
	assert_true(streams.reserve >= 0);
	assert_true(streams.accept_after > START);
	assert_int_equal(streams.open, 0);
	while (count > 0)
		close(fds[--count]);
	setrlimit(RLIMIT_NOFILE, &before);
	assert_reply(client);
	close(client);
}

static void a_denied_client_gets_no_reply(void **state)
{
	struct access_prefix prefix;
	char byte;
	int client;

	(void)state;
	assert_true(access_prefix_parse(&prefix, "127.0.0.0/8"));
	assert_true(access_add(&service.config.access, &prefix, false));
	assert_true(access_build(&service.config.access));
	client = connect_at(START);
	await(client, POLLIN);
	assert_int_equal(recv(client, &byte, 1, 0), 0);
	assert_int_equal(counter_read(&counters->drops[DROP_DENIED]), 1);
	close(client);
	access_free(&service.config.access);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_oldest_connection_makes_room, begin, end),
		cmocka_unit_test_setup_teardown(a_polled_connection_makes_room_first, begin, end),
		cmocka_unit_test_setup_teardown(a_client_that_closes_is_forgotten, begin, end),
		cmocka_unit_test_setup_teardown(a_client_that_stays_is_reset_after_5_seconds, begin,
						end),
		cmocka_unit_test_setup_teardown(a_client_that_sends_without_end_is_reset, begin,
						end),
		cmocka_unit_test_setup_teardown(no_descriptor_is_inherited_by_a_child, begin, end),
		cmocka_unit_test_setup_teardown(without_descriptors_a_client_gets_its_reply, begin,
						end),
		cmocka_unit_test_setup_teardown(a_denied_client_gets_no_reply, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
