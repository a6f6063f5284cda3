/* An exchange of the setup, as by a reload: clients that wait at a listener that goes away. */
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "server/engine.h"

static uint16_t free_port(int type)
{
	struct address address = address_any(AF_INET, 0);
	socklen_t size = sizeof(address);
	int fd = socket(AF_INET, type, 0);

	assert_int_equal(bind(fd, &address.any, address_length(&address)), 0);
	assert_int_equal(getsockname(fd, &address.any, &size), 0);
	close(fd);
	return address_port(&address);
}

static struct config configure(uint16_t tcp, uint16_t udp)
{
	char streams[64], datagrams[64];
	const char *options[] = { streams, datagrams, "workers 1" };
	struct config_source source = { .options = options, .option_count = 3 };
	struct config config;

	snprintf(streams, sizeof(streams), "listen daytime/tcp 127.0.0.1:%u", tcp);
	snprintf(datagrams, sizeof(datagrams), "listen daytime/udp 127.0.0.1:%u", udp);

	assert_true(config_load(&config, &source, stderr));
	return config;
}

static int connect_to(int type, uint16_t port)
{
	struct address address;
	int fd = socket(AF_INET, type, 0);

	assert_true(address_parse(&address, "127.0.0.1", port));
	assert_int_equal(connect(fd, &address.any, address_length(&address)), 0);
	return fd;
}

static void await(int fd)
{
	struct pollfd readable = { .fd = fd, .events = POLLIN };

	assert_int_equal(poll(&readable, 1, 10000), 1);
}

static void clients_that_wait_at_a_closed_listener_get_replies(void **state)
{
	static struct engine engine;
	uint16_t tcp = free_port(SOCK_STREAM), udp = free_port(SOCK_DGRAM);
	char bytes[64];
	struct listeners none = { 0 };
	struct engine_setup next;
	struct failure failure;
	struct config config;
	int stream, datagram;

	(void)state;
	config = configure(tcp, udp);
	assert_true(engine_open(&engine, &config, &failure));
	assert_true(engine_open_sockets(&engine, &none, &failure));
	assert_true(workers_resize(&engine.workers, 1, &failure));
	stream = connect_to(SOCK_STREAM, tcp);
	datagram = connect_to(SOCK_DGRAM, udp);
	assert_int_equal(send(datagram, "?", 1, 0), 1);
	for (size_t i = 0; i < engine.service.listeners.count; i++)
		await(engine.service.listeners.items[i].fd); /* no worker runs */
	next.config = configure(free_port(SOCK_STREAM), free_port(SOCK_DGRAM));
	assert_true(listeners_open(&next.listeners, &next.config, 1, &none, &failure));
	assert_true(engine_exchange(&engine, &next, &failure));
	await(stream);
	assert_int_equal(recv(stream, bytes, sizeof(bytes), 0), 26);
	await(datagram);
	assert_int_equal(recv(datagram, bytes, sizeof(bytes), 0), 26);
	close(stream);
	close(datagram);
	listeners_close_unless(&next.listeners, &engine.service.listeners);
	config_free(&next.config);
	engine_close(&engine);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(clients_that_wait_at_a_closed_listener_get_replies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
