/*
 * latency: many ordinary clients in one process. Keeps CONCURRENT connections open: connect, read
 * to the end, check, close, open the next. Measures each from connect to end of file.
 *
 * usage: latency ADDRESS PORT CONCURRENT SECONDS
 * Source addresses are 10.98.0.1 to 10.98.0.250 in turn. Prints one JSON object.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "histogram.h"

#define SECOND	      1000000000ULL
#define SOURCE_FIRST  0x0a620001U
#define SOURCES	      250U
#define EVENTS	      256
#define REPLY_MINIMUM 20 /* the shortest line of any peer */
#define WARM_UP	      (SECOND / 5)
#define STUCK_AFTER   (SECOND / 2)

struct connection {
	int fd;
	uint64_t started;
	size_t size;
	char last;
};

struct counts {
	uint64_t replies;
	uint64_t refused; /* not connected */
	uint64_t broken;  /* error after the first byte */
	uint64_t bad;	  /* too short, or without a line end */
	uint64_t local;	  /* this side could not open a socket */
	__u64 latency[HISTOGRAM_SIZE];
};

struct client {
	int epoll;
	struct sockaddr_in server;
	uint32_t source;
	struct counts counts;
};

static uint64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (uint64_t)time.tv_sec * SECOND + (uint64_t)time.tv_nsec;
}

static int socket_open(struct client *client)
{
	struct sockaddr_in source = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int one = 1;

	source.sin_addr.s_addr = htonl(SOURCE_FIRST + client->source++ % SOURCES);
	if (fd < 0 || setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one)) < 0 ||
	    bind(fd, (struct sockaddr *)&source, sizeof(source)) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

/* On failure the connection has no descriptor and is started again by client_turn. */
static void connection_start(struct client *client, struct connection *connection)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLRDHUP | EPOLLET,
				     .data.ptr = connection };

	*connection = (struct connection){ .fd = socket_open(client), .started = now() };
	if (connection->fd < 0) {
		client->counts.local++;
		return;
	}
	if (connect(connection->fd, (struct sockaddr *)&client->server, sizeof(client->server)) <
		    0 &&
	    errno != EINPROGRESS) {
		client->counts.refused++;
		close(connection->fd);
		connection->fd = -1;
		return;
	}
	epoll_ctl(client->epoll, EPOLL_CTL_ADD, connection->fd, &event);
}

/* Reads all that is available. Returns whether the connection has ended; errno 0: end of file. */
static bool connection_read(struct connection *connection)
{
	char buffer[512];
	ssize_t size;

	while ((size = recv(connection->fd, buffer, sizeof(buffer), 0)) > 0) {
		connection->size += (size_t)size;
		connection->last = buffer[size - 1];
	}
	if (size == 0)
		errno = 0;
	return size == 0 || errno != EAGAIN;
}

static void connection_count(const struct connection *connection, int error, struct counts *counts)
{
	if (error == 0 && connection->size >= REPLY_MINIMUM && connection->last == '\n') {
		counts->replies++;
		counts->latency[histogram_index(now() - connection->started)]++;
	} else if (error == 0) {
		counts->bad++;
	} else if (connection->size > 0) {
		counts->broken++;
	} else {
		counts->refused++;
	}
}

/* Waits for events once and handles them. */
static void client_turn(struct client *client, struct connection *connections, int concurrent)
{
	struct epoll_event events[EVENTS];
	int count = epoll_wait(client->epoll, events, EVENTS, 20);

	for (int i = 0; i < count; i++) {
		struct connection *connection = events[i].data.ptr;

		if (!connection_read(connection))
			continue;
		connection_count(connection, errno, &client->counts);
		close(connection->fd);
		connection_start(client, connection);
	}
	for (int i = 0; count <= 0 && i < concurrent; i++) {
		if (connections[i].fd < 0)
			connection_start(client, &connections[i]);
	}
}

static void client_run(struct client *client, int concurrent, double seconds)
{
	struct connection *connections = calloc((size_t)concurrent, sizeof(*connections));
	const uint64_t start = now() + WARM_UP;
	const uint64_t end = start + (uint64_t)(seconds * (double)SECOND);
	const struct counts *counts = &client->counts;
	uint64_t stuck = 0;

	for (int i = 0; connections && i < concurrent; i++)
		connection_start(client, &connections[i]);
	while (connections && now() < start)
		client_turn(client, connections, concurrent);
	client->counts = (struct counts){ 0 };
	while (connections && now() < end)
		client_turn(client, connections, concurrent);
	for (int i = 0; connections && i < concurrent; i++)
		stuck += connections[i].fd >= 0 && now() - connections[i].started > STUCK_AFTER;
	printf("{\"replies\":%llu,\"rate\":%.0f,\"refused\":%llu,\"broken\":%llu,\"bad\":%llu,"
	       "\"local\":%llu,\"stuck\":%llu,\"p50_us\":%.1f,\"p99_us\":%.1f}\n",
	       (unsigned long long)counts->replies, (double)counts->replies / seconds,
	       (unsigned long long)counts->refused, (unsigned long long)counts->broken,
	       (unsigned long long)counts->bad, (unsigned long long)counts->local,
	       (unsigned long long)stuck, (double)histogram_quantile(counts->latency, 500) / 1000,
	       (double)histogram_quantile(counts->latency, 990) / 1000);
	free(connections);
}

int main(int argc, char **argv)
{
	struct client client = { .epoll = epoll_create1(EPOLL_CLOEXEC),
				 .server = { .sin_family = AF_INET } };

	if (argc != 5 || inet_pton(AF_INET, argv[1], &client.server.sin_addr) != 1 ||
	    atoi(argv[3]) < 1) {
		fprintf(stderr, "usage: latency ADDRESS PORT CONCURRENT SECONDS\n");
		return 2;
	}
	client.server.sin_port = htons((uint16_t)atoi(argv[2]));
	client_run(&client, atoi(argv[3]), atof(argv[4]));
	return 0;
}
