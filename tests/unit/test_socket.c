/* How the kernel distributes the datagrams of one port. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
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
	assert_int_equal(read(pipes[0], shards, NETWORKS), NETWORKS);
	assert_int_equal(waitpid(process, &status, 0), process);
	assert_int_equal(status, 0);
	close(pipes[0]);
	close(pipes[1]);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_network_has_a_shard_by_a_secret_key),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
