/* How the kernel distributes the datagrams of one port. */
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "server/sockets/socket.h"

#define SHARDS	 4
#define NETWORKS 64

static struct address local(uint32_t ip4)
{
	struct address address = { .ip4 = { .sin_family = AF_INET } };

	address.ip4.sin_addr.s_addr = htonl(ip4);
	return address;
}

/* Opens the shards of one port. */
static void open_shards(int fds[static SHARDS])
{
	struct address address = local(INADDR_LOOPBACK);
	socklen_t size = sizeof(address);

	for (int i = 0; i < SHARDS; i++) {
		fds[i] = socket_open(protocol_find("ntp"), &address, true, geteuid());
		assert_true(fds[i] >= 0);
		assert_return_code(getsockname(fds[i], &address.any, &size), 0);
	}
	assert_true(socket_attach_source_hash(fds[0], &address, SHARDS));
}

/* The shard that gets a datagram from a host. */
static uint8_t find_shard(const int fds[static SHARDS], uint32_t host)
{
	struct address from = local(host), to;
	socklen_t size = sizeof(to);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	uint8_t found = UINT8_MAX;
	char byte;

	assert_return_code(getsockname(fds[0], &to.any, &size), 0);
	assert_return_code(bind(fd, &from.any, sizeof(from.ip4)), 0);
	assert_int_equal(sendto(fd, "?", 1, 0, &to.any, sizeof(to.ip4)), 1);
	for (uint8_t i = 0; i < SHARDS; i++) {
		if (recv(fds[i], &byte, 1, MSG_DONTWAIT) == 1)
			found = i;
	}
	close(fd);
	assert_int_not_equal(found, UINT8_MAX);
	return found;
}

/* The shards of 64 networks, in a process of its own, which makes a key. */
static void map_networks(uint8_t shards[static NETWORKS])
{
	int fds[SHARDS], pipes[2], status;
	pid_t process;

	assert_return_code(pipe(pipes), 0);
	process = fork();
	assert_int_not_equal(process, -1);
	if (process == 0) {
		open_shards(fds);
		for (uint32_t i = 0; i < NETWORKS; i++) {
			uint32_t network = 0x7f010000 + (i << 8);

			shards[i] = find_shard(fds, network | 1);
			assert_int_equal(find_shard(fds, network | 254), shards[i]);
		}
		_exit(write(pipes[1], shards, NETWORKS) == NETWORKS ? 0 : 1);
	}
	close(pipes[1]);
	assert_int_equal(read(pipes[0], shards, NETWORKS), NETWORKS);
	assert_int_equal(waitpid(process, &status, 0), process);
	assert_int_equal(status, 0);
	close(pipes[0]);
}

/* All requests of a network go to one shard; an attacker cannot tell to which. */
static void a_network_has_a_shard_by_a_secret_key(void **state)
{
	uint8_t one[NETWORKS], other[NETWORKS];
	unsigned counts[SHARDS] = { 0 };

	(void)state;
	map_networks(one);
	map_networks(other);
	assert_memory_not_equal(one, other, NETWORKS);
	for (int i = 0; i < NETWORKS; i++) {
		counts[one[i]]++;
		counts[other[i]]++;
	}
	for (int i = 0; i < SHARDS; i++)
		assert_in_range(counts[i], 1, NETWORKS);
}

static void a_network_keeps_its_shard(void **state)
{
	struct address address = local(INADDR_LOOPBACK);
	uint8_t before[NETWORKS];
	int fds[SHARDS];

	(void)state;
	open_shards(fds);
	for (uint32_t i = 0; i < NETWORKS; i++)
		before[i] = find_shard(fds, 0x7f010001 + (i << 8));
	assert_true(socket_attach_source_hash(fds[0], &address, SHARDS)); /* as by a reload */
	for (uint32_t i = 0; i < NETWORKS; i++)
		assert_int_equal(find_shard(fds, 0x7f010001 + (i << 8)), before[i]);
	for (int i = 0; i < SHARDS; i++)
		close(fds[i]);
}

/* The shard that gets a datagram from an IPv6 address, which this host need not have; UINT8_MAX
 * without the right to that. */
static uint8_t find_shard6(struct pollfd shards[static SHARDS], const struct address *to,
			   const char *host)
{
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0), on = 1;
	uint8_t found = UINT8_MAX;
	struct address from;
	char byte;

	assert_true(address_parse(&from, host, 0));
	if (setsockopt(fd, IPPROTO_IPV6, IPV6_TRANSPARENT, &on, sizeof(on)) == 0 &&
	    bind(fd, &from.any, sizeof(from.ip6)) == 0 &&
	    sendto(fd, "?", 1, 0, &to->any, sizeof(to->ip6)) == 1)
		assert_int_equal(poll(shards, SHARDS, 10000), 1);
	for (uint8_t i = 0; i < SHARDS; i++) {
		if (recv(shards[i].fd, &byte, 1, MSG_DONTWAIT) == 1)
			found = i;
	}
	close(fd);
	return found;
}

static void an_ipv6_network_has_one_shard(void **state)
{
	struct address address;
	socklen_t size = sizeof(address);
	struct pollfd shards[SHARDS];
	uint8_t one, other;
	char host[64];

	(void)state;
	assert_true(address_parse(&address, "::1", 0));
	for (int i = 0; i < SHARDS; i++) {
		shards[i].fd = socket_open(protocol_find("ntp"), &address, true, geteuid());
		shards[i].events = POLLIN;
		assert_return_code(getsockname(shards[i].fd, &address.any, &size), 0);
	}
	assert_true(socket_attach_source_hash(shards[0].fd, &address, SHARDS));
	if (find_shard6(shards, &address, "2001:db8::1") == UINT8_MAX)
		skip();
	for (unsigned i = 0; i < NETWORKS; i++) {
		snprintf(host, sizeof(host), "2001:db8:%x::1", i);
		one = find_shard6(shards, &address, host);
		snprintf(host, sizeof(host), "2001:db8:%x:ffff:1::2", i);
		other = find_shard6(shards, &address, host);
		assert_int_not_equal(one, UINT8_MAX);
		assert_int_equal(one, other);
	}
	for (int i = 0; i < SHARDS; i++)
		close(shards[i].fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_network_has_a_shard_by_a_secret_key),
		cmocka_unit_test(a_network_keeps_its_shard),
		cmocka_unit_test(an_ipv6_network_has_one_shard),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
