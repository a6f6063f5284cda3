/*
 * load: sends requests at a constant rate, NTP and Daytime over TCP, and counts every reply.
 *
 * usage: load ADDRESS NTP_PORT TCP_PORT REQUESTS CONNECTIONS MILLISECONDS
 * REQUESTS and CONNECTIONS are per second. Ends after that time, or when its standard input is
 * closed, and prints one JSON object: requests, replies, and the longest wait for a reply, in
 * microseconds. A TCP reply is 26 bytes and a FIN.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MILLISECOND  1000000LL
#define LAST_WAIT    (2000 * MILLISECOND)
#define BURST	     50	  /* at most, to catch up after a pause of this program */
#define SOCKETS	     32	  /* for NTP, so that every worker has some */
#define CONNECTIONS  8192 /* at a time */
#define SOURCE_FIRST 0x7f010001U
#define SOURCES	     250U
#define NTP_SIZE     48
#define TEXT_SIZE    26
#define EVENTS	     256

struct account {
	uint64_t requests, replies;
	int64_t longest;
};

struct connection {
	int fd; /* 0: free */
	int size;
	int64_t sent;
};

struct load {
	struct sockaddr_in ntp, tcp;
	int epoll, sockets[SOCKETS];
	struct account datagrams, connections;
	struct connection open[CONNECTIONS];
	int64_t *sent; /* the time of each NTP request; 0 after its reply */
	uint64_t size; /* of that array */
	uint32_t sources;
};

static int64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1000 * MILLISECOND + time.tv_nsec;
}

static void require(bool holds, const char *what)
{
	if (holds)
		return;
	perror(what);
	exit(1);
}

static void watch(struct load *load, int fd, uint64_t tag)
{
	struct epoll_event event = { .events = EPOLLIN, .data.u64 = tag };

	require(epoll_ctl(load->epoll, EPOLL_CTL_ADD, fd, &event) == 0, "epoll_ctl");
}

static void count_reply(struct account *account, int64_t sent)
{
	int64_t waited = now() - sent;

	account->replies++;
	if (waited > account->longest)
		account->longest = waited;
}

static void send_ntp(struct load *load)
{
	uint64_t number = load->datagrams.requests++;
	uint8_t request[NTP_SIZE] = { 4 << 3 | 3 };

	require(number < load->size, "more requests than planned");
	memcpy(request + 40, &number, sizeof(number));
	load->sent[number] = now();
	sendto(load->sockets[number % SOCKETS], request, sizeof(request), 0,
	       (struct sockaddr *)&load->ntp, sizeof(load->ntp));
}

static void receive_ntp(struct load *load, int fd)
{
	uint8_t reply[NTP_SIZE + 1];
	uint64_t number;

	while (recv(fd, reply, sizeof(reply), MSG_DONTWAIT) == NTP_SIZE) {
		memcpy(&number, reply + 24, sizeof(number));
		require(number < load->datagrams.requests && load->sent[number] != 0,
			"a reply without a request");
		count_reply(&load->datagrams, load->sent[number]);
		load->sent[number] = 0;
	}
}

static void connect_tcp(struct load *load)
{
	struct sockaddr_in source = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(SOURCE_FIRST + load->sources++ % SOURCES),
	};
	unsigned index = 0;
	int fd, one = 1;

	while (index < CONNECTIONS && load->open[index].fd != 0)
		index++;
	require(index < CONNECTIONS, "too many connections at a time");
	fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	require(fd > 0, "socket");
	setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one));
	require(bind(fd, (struct sockaddr *)&source, sizeof(source)) == 0, "bind");
	load->connections.requests++;
	if (connect(fd, (struct sockaddr *)&load->tcp, sizeof(load->tcp)) < 0 &&
	    errno != EINPROGRESS) {
		close(fd);
		return;
	}
	load->open[index] = (struct connection){ .fd = fd, .sent = now() };
	watch(load, fd, SOCKETS + index);
}

static void receive_tcp(struct load *load, struct connection *connection)
{
	char text[TEXT_SIZE + 1];
	ssize_t size = recv(connection->fd, text, sizeof(text), MSG_DONTWAIT);

	if (size < 0 && errno == EAGAIN)
		return;
	if (size > 0) {
		connection->size += (int)size;
		return;
	}
	if (size == 0 && connection->size == TEXT_SIZE)
		count_reply(&load->connections, connection->sent);
	close(connection->fd);
	connection->fd = 0;
}

static void receive(struct load *load, int timeout)
{
	struct epoll_event events[EVENTS];
	int count = epoll_wait(load->epoll, events, EVENTS, timeout);

	for (int i = 0; i < count; i++) {
		uint64_t tag = events[i].data.u64;

		if (tag < SOCKETS)
			receive_ntp(load, load->sockets[tag]);
		else
			receive_tcp(load, &load->open[tag - SOCKETS]);
	}
}

/* The number that is due now at a rate. A backlog from a pause of this program is not caught up. */
static unsigned due(uint64_t done, int64_t elapsed, uint64_t each_second)
{
	uint64_t planned = (uint64_t)elapsed * each_second / (1000 * MILLISECOND);

	return planned <= done ? 0 : planned - done > BURST ? BURST : (unsigned)(planned - done);
}

static bool is_input_closed(void)
{
	struct pollfd input = { .fd = STDIN_FILENO, .events = POLLIN };

	return poll(&input, 1, 0) > 0;
}

static bool has_all_replies(const struct load *load)
{
	return load->datagrams.replies == load->datagrams.requests &&
	       load->connections.replies == load->connections.requests;
}

static void run(struct load *load, uint64_t requests, uint64_t connections, int64_t span)
{
	int64_t begin = now(), elapsed = 0;

	for (; elapsed < span && !is_input_closed(); elapsed = now() - begin) {
		for (unsigned i = due(load->datagrams.requests, elapsed, requests); i > 0; i--)
			send_ntp(load);
		for (unsigned i = due(load->connections.requests, elapsed, connections); i > 0; i--)
			connect_tcp(load);
		receive(load, 1);
	}
	begin = now();
	while (!has_all_replies(load) && now() - begin < LAST_WAIT)
		receive(load, 10);
}

static uint64_t number(const char *text)
{
	return strtoull(text, NULL, 10);
}

int main(int argc, char **argv)
{
	static struct load load;
	uint64_t requests, connections;
	int64_t span;

	require(argc == 7,
		"usage: load ADDRESS NTP_PORT TCP_PORT REQUESTS CONNECTIONS MILLISECONDS");
	requests = number(argv[4]);
	connections = number(argv[5]);
	span = (int64_t)number(argv[6]) * MILLISECOND;
	load.ntp = (struct sockaddr_in){ .sin_family = AF_INET,
					 .sin_port = htons((uint16_t)number(argv[2])) };
	require(inet_pton(AF_INET, argv[1], &load.ntp.sin_addr) == 1, argv[1]);
	load.tcp = load.ntp;
	load.tcp.sin_port = htons((uint16_t)number(argv[3]));
	load.size = requests * (uint64_t)(span / MILLISECOND) / 1000 + BURST;
	load.sent = calloc(load.size, sizeof(*load.sent));
	load.epoll = epoll_create1(0);
	require(load.sent && load.epoll >= 0, "memory");
	for (unsigned i = 0; i < SOCKETS; i++) {
		load.sockets[i] = socket(AF_INET, SOCK_DGRAM, 0);
		require(load.sockets[i] >= 0, "socket");
		watch(&load, load.sockets[i], i);
	}
	run(&load, requests, connections, span);
	printf("{\"requests\": %llu, \"replies\": %llu, \"longest\": %lld, \"connections\": %llu,"
	       " \"tcp_replies\": %llu, \"longest_connection\": %lld}\n",
	       (unsigned long long)load.datagrams.requests,
	       (unsigned long long)load.datagrams.replies, (long long)load.datagrams.longest / 1000,
	       (unsigned long long)load.connections.requests,
	       (unsigned long long)load.connections.replies,
	       (long long)load.connections.longest / 1000);
	return 0;
}
