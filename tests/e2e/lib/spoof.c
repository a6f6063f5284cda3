/*
 * spoof: sends datagrams or SYNs with forged source addresses, at a given rate.
 *
 * usage: spoof syn|ntp ADDRESS PORT FIRST-SOURCE SOURCES STEP RATE COUNT
 * The sources are SOURCES addresses, STEP apart, in turn. Prints the number of packets sent and the
 * milliseconds that it took. Needs root.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BATCH	 32
#define SECOND	 1000000000LL
#define NTP_SIZE 48

struct packet {
	struct iphdr ip;
	union {
		struct tcphdr tcp;
		struct {
			struct udphdr udp;
			uint8_t ntp[NTP_SIZE];
		};
	};
};

static void require(bool holds, const char *what)
{
	if (holds)
		return;
	perror(what);
	exit(1);
}

static int64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * SECOND + time.tv_nsec;
}

static uint64_t number(const char *text)
{
	return strtoull(text, NULL, 10);
}

/* The sum of big-endian 16-bit words, for the Internet checksum (RFC 1071). */
static uint32_t add_up(const void *bytes, size_t size, uint32_t sum)
{
	const uint8_t *byte = bytes;

	for (size_t i = 0; i + 1 < size; i += 2)
		sum += (uint32_t)byte[i] << 8 | byte[i + 1];
	return sum;
}

static uint16_t fold(uint32_t sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return htons((uint16_t)~sum);
}

static void write_syn(struct packet *packet, uint16_t source, uint16_t port)
{
	packet->tcp = (struct tcphdr){
		.source = htons(source),
		.dest = htons(port),
		.doff = 5,
		.syn = 1,
		.window = htons(64240),
	};
	/* The checksum includes a pseudo-header. */
	packet->tcp.check = fold(add_up(&packet->ip.saddr, 8,
					add_up(&packet->tcp, sizeof(packet->tcp),
					       IPPROTO_TCP + sizeof(packet->tcp))));
}

static void write_ntp(struct packet *packet, uint16_t source, uint16_t port)
{
	packet->udp = (struct udphdr){
		.source = htons(source),
		.dest = htons(port),
		.len = htons(sizeof(struct udphdr) + NTP_SIZE),
	};
	memset(packet->ntp, 0, NTP_SIZE);
	packet->ntp[0] = 4 << 3 | 3;
}

struct plan {
	bool syn;
	in_addr_t destination;
	uint16_t port;
	uint32_t first, sources, step;
};

static size_t write_packet(const struct plan *plan, struct packet *packet, uint64_t count)
{
	uint32_t address = plan->first + (uint32_t)(count % plan->sources) * plan->step;
	uint16_t source = (uint16_t)(1024 + count / plan->sources % 60000);
	size_t size = sizeof(struct iphdr) +
		      (plan->syn ? sizeof(struct tcphdr) : sizeof(struct udphdr) + NTP_SIZE);

	packet->ip = (struct iphdr){
		.version = 4,
		.ihl = 5,
		.ttl = 64,
		.tot_len = htons((uint16_t)size),
		.protocol = plan->syn ? IPPROTO_TCP : IPPROTO_UDP,
		.saddr = htonl(address),
		.daddr = plan->destination,
	};
	if (plan->syn)
		write_syn(packet, source, plan->port);
	else
		write_ntp(packet, source, plan->port);
	return size;
}

static void send_batch(int fd, const struct plan *plan, uint64_t from)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_addr.s_addr = plan->destination };
	struct packet packets[BATCH];
	struct mmsghdr messages[BATCH] = { 0 };
	struct iovec bytes[BATCH];

	for (unsigned i = 0; i < BATCH; i++) {
		bytes[i] = (struct iovec){ &packets[i], write_packet(plan, &packets[i], from + i) };
		messages[i].msg_hdr = (struct msghdr){
			.msg_name = &to,
			.msg_namelen = sizeof(to),
			.msg_iov = &bytes[i],
			.msg_iovlen = 1,
		};
	}
	require(sendmmsg(fd, messages, BATCH, 0) > 0, "sendmmsg");
}

int main(int argc, char **argv)
{
	int fd = socket(AF_INET, SOCK_RAW, IPPROTO_RAW);
	uint64_t rate, count, sent = 0;
	struct plan plan;
	int64_t begin;

	require(argc == 9, "usage: spoof syn|ntp ADDRESS PORT FIRST SOURCES STEP RATE COUNT");
	require(fd >= 0, "socket");
	plan = (struct plan){
		.syn = strcmp(argv[1], "syn") == 0,
		.destination = inet_addr(argv[2]),
		.port = (uint16_t)number(argv[3]),
		.first = ntohl(inet_addr(argv[4])),
		.sources = (uint32_t)number(argv[5]),
		.step = (uint32_t)number(argv[6]),
	};
	rate = number(argv[7]);
	count = number(argv[8]);
	begin = now();
	for (; sent < count; sent += BATCH) {
		while ((uint64_t)(now() - begin) * rate / SECOND < sent)
			usleep(200);
		send_batch(fd, &plan, sent);
	}
	printf("%llu %lld\n", (unsigned long long)sent, (long long)((now() - begin) / 1000000));
	return 0;
}
