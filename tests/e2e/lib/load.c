/*
 * load: asks at a steady pace, over NTP and over Daytime on TCP, and keeps account of every answer.
 *
 * usage: load ADDRESS NTP_PORT TCP_PORT REQUESTS CONNECTIONS MILLISECONDS
 * REQUESTS and CONNECTIONS are each second's. Ends after that time, or earlier when its standard
 * input ends, and prints one JSON object: what was asked, what was answered, and the longest wait
 * for an answer, in microseconds. A connection is answered if 26 bytes come, and the end.
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
#define BURST	     50	  /* no more at a time, to catch up after a pause of our own */
#define SOCKETS	     32	  /* of NTP, so that every worker has some */
#define CONNECTIONS  8192 /* at a time */
#define SOURCE_FIRST 0x7f010001U
#define SOURCES	     250U
#define NTP_SIZE     48
#define TEXT_SIZE    26
#define EVENTS	     256

struct account {
	uint64_t asked, answered;
	int64_t longest;
};

struct connection {
	int fd; /* 0: free */
	int size;
	int64_t asked;
};

struct load {
	struct sockaddr_in ntp, tcp;
	int epoll, sockets[SOCKETS];
	struct account datagrams, connections;
	struct connection open[CONNECTIONS];
	int64_t *asked; /* when each request of NTP was; 0 once it is answered */
	uint64_t room;	/* for so many */
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

static void take_answer(struct account *account, int64_t asked)
{
	int64_t waited = now() - asked;

	account->answered++;
	if (waited > account->longest)
		account->longest = waited;
}

static void ask_ntp(struct load *load)
{
	uint64_t number = load->datagrams.asked++;
	uint8_t request[NTP_SIZE] = { 4 << 3 | 3 };

	require(number < load->room, "more requests than planned");
	memcpy(request + 40, &number, sizeof(number));
	load->asked[number] = now();
	sendto(load->sockets[number % SOCKETS], request, sizeof(request), 0,
	       (struct sockaddr *)&load->ntp, sizeof(load->ntp));
}

static void hear_ntp(struct load *load, int fd)
{
	uint8_t reply[NTP_SIZE + 1];
	uint64_t number;

	while (recv(fd, reply, sizeof(reply), MSG_DONTWAIT) == NTP_SIZE) {
		memcpy(&number, reply + 24, sizeof(number));
		require(number < load->datagrams.asked && load->asked[number] != 0,
			"an answer to nothing");
		take_answer(&load->datagrams, load->asked[number]);
		load->asked[number] = 0;
	}
}

static void ask_tcp(struct load *load)
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
	load->connections.asked++;
	if (connect(fd, (struct sockaddr *)&load->tcp, sizeof(load->tcp)) < 0 &&
	    errno != EINPROGRESS) {
		close(fd);
		return;
	}
	load->open[index] = (struct connection){ .fd = fd, .asked = now() };
	watch(load, fd, SOCKETS + index);
}

static void hear_tcp(struct load *load, struct connection *connection)
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
		take_answer(&load->connections, connection->asked);
	close(connection->fd);
	connection->fd = 0;
}

static void hear(struct load *load, int timeout)
{
	struct epoll_event events[EVENTS];
	int count = epoll_wait(load->epoll, events, EVENTS, timeout);

	for (int i = 0; i < count; i++) {
		uint64_t tag = events[i].data.u64;

		if (tag < SOCKETS)
			hear_ntp(load, load->sockets[tag]);
		else
			hear_tcp(load, &load->open[tag - SOCKETS]);
	}
}

/* How many are due by now at a pace; after a pause of our own the others never are. */
static unsigned due(uint64_t done, int64_t elapsed, uint64_t each_second)
{
	uint64_t planned = (uint64_t)elapsed * each_second / (1000 * MILLISECOND);

	return planned <= done ? 0 : planned - done > BURST ? BURST : (unsigned)(planned - done);
}

static bool is_to_end(void)
{
	struct pollfd input = { .fd = STDIN_FILENO, .events = POLLIN };

	return poll(&input, 1, 0) > 0;
}

static bool is_all_answered(const struct load *load)
{
	return load->datagrams.answered == load->datagrams.asked &&
	       load->connections.answered == load->connections.asked;
}

static void ask_for(struct load *load, uint64_t requests, uint64_t connections, int64_t span)
{
	int64_t begin = now(), elapsed = 0;

	for (; elapsed < span && !is_to_end(); elapsed = now() - begin) {
		for (unsigned i = due(load->datagrams.asked, elapsed, requests); i > 0; i--)
			ask_ntp(load);
		for (unsigned i = due(load->connections.asked, elapsed, connections); i > 0; i--)
			ask_tcp(load);
		hear(load, 1);
	}
	begin = now();
	while (!is_all_answered(load) && now() - begin < LAST_WAIT)
		hear(load, 10);
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
	load.room = requests * (uint64_t)(span / MILLISECOND) / 1000 + BURST;
	load.asked = calloc(load.room, sizeof(*load.asked));
	load.epoll = epoll_create1(0);
	require(load.asked && load.epoll >= 0, "memory");
	for (unsigned i = 0; i < SOCKETS; i++) {
		load.sockets[i] = socket(AF_INET, SOCK_DGRAM, 0);
		require(load.sockets[i] >= 0, "socket");
		watch(&load, load.sockets[i], i);
	}
	ask_for(&load, requests, connections, span);
	printf("{\"requests\": %llu, \"replies\": %llu, \"longest\": %lld, \"connections\": %llu,"
	       " \"answers\": %llu, \"longest_connection\": %lld}\n",
	       (unsigned long long)load.datagrams.asked,
	       (unsigned long long)load.datagrams.answered,
	       (long long)load.datagrams.longest / 1000, (unsigned long long)load.connections.asked,
	       (unsigned long long)load.connections.answered,
	       (long long)load.connections.longest / 1000);
	return 0;
}
