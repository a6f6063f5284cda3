/*
 * offset: an NTP client that uses the kernel's stamps of departure and arrival. Server and client
 * share a clock, so the true offset is 0 and the measured one is the error of the server's stamps.
 *
 * usage: offset ADDRESS PORT COUNT PER_SECOND
 * Prints one JSON object; times are in microseconds.
 */
#include <arpa/inet.h>
#include <linux/errqueue.h>
#include <linux/net_tstamp.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "protocol/ntp_packet.h"

#define WARM_UP	  16  /* exchanges that are not counted */
#define TIMEOUT	  200 /* milliseconds */
#define COUNT_MAX 4096

struct exchange {
	clock_ntp_time nonce, left, arrived; /* the client's; 0: not known yet */
	struct ntp_packet reply;
};

struct result {
	double offset[COUNT_MAX], there[COUNT_MAX], back[COUNT_MAX];
	size_t count, lost;
};

static int open_socket(const char *address, uint16_t port)
{
	const int stamps = SOF_TIMESTAMPING_TX_SOFTWARE | SOF_TIMESTAMPING_RX_SOFTWARE |
			   SOF_TIMESTAMPING_SOFTWARE | SOF_TIMESTAMPING_OPT_TSONLY;
	struct sockaddr_in server = { .sin_family = AF_INET, .sin_port = htons(port) };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || inet_pton(AF_INET, address, &server.sin_addr) != 1 ||
	    setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPING, &stamps, sizeof(stamps)) < 0 ||
	    connect(fd, (struct sockaddr *)&server, sizeof(server)) < 0)
		return -1;
	return fd;
}

/* Receives a datagram, or with MSG_ERRQUEUE the stamp of one that was sent. Returns the kernel's
 * stamp; 0: there is none. */
static clock_ntp_time receive(int fd, int flags, void *bytes, size_t *size)
{
	_Alignas(struct cmsghdr) uint8_t control[256];
	struct iovec part = { bytes, *size };
	struct msghdr message = { .msg_iov = &part,
				  .msg_iovlen = 1,
				  .msg_control = control,
				  .msg_controllen = sizeof(control) };
	ssize_t length = recvmsg(fd, &message, flags | MSG_DONTWAIT);
	struct cmsghdr *found = length < 0 ? NULL : CMSG_FIRSTHDR(&message);
	struct timespec stamp;

	*size = length < 0 ? 0 : (size_t)length;
	for (; found; found = CMSG_NXTHDR(&message, found)) {
		if (found->cmsg_level == SOL_SOCKET && found->cmsg_type == SCM_TIMESTAMPING) {
			memcpy(&stamp, CMSG_DATA(found), sizeof(stamp));
			return clock_to_ntp(&stamp);
		}
	}
	return 0;
}

static bool send_request(int fd, struct exchange *exchange)
{
	struct ntp_packet request = { .version = NTP_VERSION, .mode = NTP_MODE_CLIENT };
	uint8_t bytes[NTP_PACKET_SIZE];
	struct bytes_writer writer = bytes_writer_open(bytes, sizeof(bytes));

	*exchange = (struct exchange){ 0 };
	if (getrandom(&exchange->nonce, sizeof(exchange->nonce), 0) < 0)
		return false;
	request.transmit = exchange->nonce;
	ntp_packet_write(&request, &writer);
	return send(fd, bytes, sizeof(bytes), 0) == (ssize_t)sizeof(bytes);
}

/* Receives what has arrived. Returns whether the exchange is complete. */
static bool receive_exchange(int fd, struct exchange *exchange)
{
	uint8_t bytes[256];
	size_t size = sizeof(bytes);
	struct bytes_reader reader;
	clock_ntp_time stamp;

	if (exchange->left == 0)
		exchange->left = receive(fd, MSG_ERRQUEUE, bytes, &size);
	size = sizeof(bytes);
	stamp = receive(fd, 0, bytes, &size);
	reader = bytes_reader_open(bytes, size);
	if (stamp != 0 && ntp_packet_read(&exchange->reply, &reader) &&
	    exchange->reply.origin == exchange->nonce)
		exchange->arrived = stamp;
	return exchange->left != 0 && exchange->arrived != 0;
}

static bool run(int fd, struct exchange *exchange)
{
	struct pollfd ready = { .fd = fd, .events = POLLIN };

	if (!send_request(fd, exchange))
		return false;
	while (!receive_exchange(fd, exchange)) {
		if (poll(&ready, 1, TIMEOUT) == 0)
			return false;
	}
	return true;
}

static double microseconds(clock_ntp_time from, clock_ntp_time to)
{
	return (double)clock_span_from_ntp((clock_ntp_span)(to - from)) / 1000;
}

static void note(struct result *result, const struct exchange *exchange)
{
	double there = microseconds(exchange->left, exchange->reply.receive);
	double back = microseconds(exchange->reply.transmit, exchange->arrived);

	result->there[result->count] = there;
	result->back[result->count] = back;
	result->offset[result->count++] = (there - back) / 2;
}

static int compare(const void *a, const void *b)
{
	double one = *(const double *)a, other = *(const double *)b;

	return (one > other) - (one < other);
}

/* Sorts the values. Returns a quantile, in thousandths. */
static double quantile(double *values, size_t count, size_t thousandths)
{
	qsort(values, count, sizeof(*values), compare);
	return count > 0 ? values[(count - 1) * thousandths / 1000] : 0;
}

static void print(struct result *result)
{
	double signed_median = quantile(result->offset, result->count, 500);

	for (size_t i = 0; i < result->count; i++) {
		if (result->offset[i] < 0)
			result->offset[i] = -result->offset[i];
	}
	printf("{\"count\":%zu,\"lost\":%zu,\"signed\":%.3f,\"median\":%.3f,\"p99\":%.3f,"
	       "\"there\":%.3f,\"back\":%.3f}\n",
	       result->count, result->lost, signed_median,
	       quantile(result->offset, result->count, 500),
	       quantile(result->offset, result->count, 990),
	       quantile(result->there, result->count, 500),
	       quantile(result->back, result->count, 500));
}

int main(int argc, char **argv)
{
	static struct result result;
	struct exchange exchange;
	int fd = argc == 5 ? open_socket(argv[1], (uint16_t)atoi(argv[2])) : -1;
	int count = argc == 5 ? atoi(argv[3]) : 0;

	if (fd < 0 || count > COUNT_MAX) {
		perror("offset");
		return 1;
	}
	for (int i = 0; i < count + WARM_UP; i++) {
		bool complete = run(fd, &exchange);

		if (i >= WARM_UP && complete)
			note(&result, &exchange);
		else
			result.lost += i >= WARM_UP;
		usleep((useconds_t)(1000000 / atoi(argv[4])));
	}
	print(&result);
	return 0;
}
