/*
 * flood: opens TCP connections, or sends UDP requests, at a given rate, whether or not the server
 * keeps up. A packet socket sends them, each from an address and port of its own; flood.bpf.c does
 * the rest of each connection, receives the replies and counts. It stays attached when flood ends,
 * for the connections that are still in the server's queue.
 *
 * usage: flood -i INTERFACE -m SERVER_MAC -d ADDRESS -p PORT -r RATE -t SECONDS -o FLOOD.BPF.O
 *        [-k tcp|ntp|byte]
 * Prints one JSON object.
 */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "flood.h"

#define SECOND	      1000000000ULL
#define BATCH	      16
#define SLOW	      20000.0 /* below this rate requests are not sent in batches */
#define MSS	      1460
#define WINDOW	      64240
#define PORT_FIRST    1024U
#define PORT_COUNT    64000U
#define PROCESSOR_MAX 256

struct syn {
	struct ether_header ethernet;
	struct iphdr ip;
	struct tcphdr tcp;
	uint8_t option[4];
} __attribute__((packed));

struct datagram {
	struct ether_header ethernet;
	struct iphdr ip;
	struct udphdr udp;
	uint8_t payload[FLOOD_NTP_SIZE];
} __attribute__((packed));

/* The start of all frames. */
struct head {
	struct ether_header ethernet;
	struct iphdr ip;
} __attribute__((packed));

union frame {
	struct head head;
	struct syn syn;
	struct datagram datagram;
};

struct options;

/* A kind of request: prepare makes a frame, address makes it request number `number`. */
struct kind {
	const char *name;
	size_t size; /* of a frame */
	void (*prepare)(union frame *frame, const struct options *options);
	void (*address)(union frame *frame, uint64_t number, uint64_t time);
};

struct options {
	const char *interface;
	const char *object;
	struct in_addr address;
	uint8_t hardware[ETH_ALEN];
	uint16_t port;
	double rate;
	double seconds;
	const struct kind *kind;
};

struct result {
	uint64_t sent;
	double elapsed;
	double steady_rate; /* replies a second after the first fifth of the time */
	struct flood_counts counts;
};

static int counts_map;

static uint64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (uint64_t)time.tv_sec * SECOND + (uint64_t)time.tv_nsec;
}

/* Attaches the BPF program to the interface's ingress, in place of an earlier one. */
static bool program_attach(const struct options *options, int interface)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = interface, .attach_point = BPF_TC_INGRESS);
	LIBBPF_OPTS(bpf_tc_opts, attachment, .flags = BPF_TC_F_REPLACE, .handle = 1, .priority = 1);
	struct bpf_object *object = bpf_object__open_file(options->object, NULL);

	libbpf_set_print(NULL);
	if (!object || bpf_object__load(object) < 0)
		return false;
	counts_map = bpf_object__find_map_fd_by_name(object, "flood_counts");
	attachment.prog_fd =
		bpf_program__fd(bpf_object__find_program_by_name(object, "flood_reply"));
	bpf_tc_hook_create(&hook); /* fails where it exists already */
	return counts_map >= 0 && bpf_tc_attach(&hook, &attachment) == 0;
}

static void counts_read(struct flood_counts *total)
{
	static struct flood_counts part[PROCESSOR_MAX];
	int processors = libbpf_num_possible_cpus();
	uint32_t key = 0;

	memset(total, 0, sizeof(*total));
	if (processors > PROCESSOR_MAX || bpf_map_lookup_elem(counts_map, &key, part) < 0)
		return;
	for (int i = 0; i < processors; i++) {
		total->replied += part[i].replied;
		total->late += part[i].late;
		total->resets += part[i].resets;
		total->bytes += part[i].bytes;
		for (int k = 0; k < HISTOGRAM_SIZE; k++)
			total->latency[k] += part[i].latency[k];
	}
}

static int packet_socket_open(int interface)
{
	struct sockaddr_ll address = { .sll_family = AF_PACKET, .sll_ifindex = interface };
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	int one = 1;

	if (fd < 0 || setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof(one)) < 0 ||
	    bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return -1;
	return fd;
}

static uint32_t sum_words(const void *data, size_t size)
{
	uint32_t sum = 0;
	uint16_t word;

	for (size_t i = 0; i < size; i += sizeof(word)) {
		memcpy(&word, (const uint8_t *)data + i, sizeof(word));
		sum += word;
	}
	return sum;
}

static uint16_t sum_fold(uint32_t sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

/* Fills in what is the same in every frame. Any source hardware address will do. */
static void head_prepare(union frame *frame, size_t size, uint8_t protocol,
			 const struct options *options)
{
	frame->head.ethernet =
		(struct ether_header){ .ether_shost = { 2 }, .ether_type = htons(ETHERTYPE_IP) };
	memcpy(frame->head.ethernet.ether_dhost, options->hardware, ETH_ALEN);
	frame->head.ip = (struct iphdr){
		.version = 4,
		.ihl = 5,
		.tot_len = htons((uint16_t)(size - sizeof(struct ether_header))),
		.frag_off = htons(IP_DF),
		.ttl = IPDEFTTL,
		.protocol = protocol,
		.daddr = options->address.s_addr,
	};
}

/* Sets the source address of request `number`, and returns its source port. */
static uint16_t head_address(union frame *frame, uint64_t number)
{
	struct iphdr ip = frame->head.ip;

	ip.saddr = htonl(FLOOD_NETWORK + (uint32_t)(number % FLOOD_SOURCES));
	ip.check = 0;
	ip.check = sum_fold(sum_words(&ip, sizeof(ip)));
	frame->head.ip = ip;
	return htons((uint16_t)(PORT_FIRST + number / FLOOD_SOURCES % PORT_COUNT));
}

static void syn_prepare(union frame *frame, const struct options *options)
{
	struct syn *syn = &frame->syn;

	*syn = (struct syn){
		.tcp = { .dest = htons(options->port),
			 .doff = (sizeof(syn->tcp) + sizeof(syn->option)) / 4,
			 .syn = 1,
			 .window = htons(WINDOW) },
		.option = { TCPOPT_MAXSEG, TCPOLEN_MAXSEG, MSS >> 8, MSS & 0xff },
	};
	head_prepare(frame, sizeof(*syn), IPPROTO_TCP, options);
}

static void syn_address(union frame *frame, uint64_t number, uint64_t time)
{
	struct syn *syn = &frame->syn;
	const size_t size = sizeof(syn->tcp) + sizeof(syn->option);
	uint32_t sum;

	syn->tcp.source = head_address(frame, number);
	syn->tcp.seq = htonl((uint32_t)(time >> FLOOD_TIME_SHIFT));
	syn->tcp.check = 0;
	sum = sum_words(&syn->ip.saddr, 8) + sum_words(&syn->tcp, size);
	syn->tcp.check = sum_fold(sum + htons(IPPROTO_TCP) + htons((uint16_t)size));
}

/* Without a checksum, as IPv4 permits. */
static void datagram_prepare(union frame *frame, const struct options *options)
{
	struct datagram *datagram = &frame->datagram;
	size_t size = options->kind->size, headers = offsetof(struct datagram, udp);

	*datagram = (struct datagram){
		.udp = { .dest = htons(options->port), .len = htons((uint16_t)(size - headers)) },
		.payload = { 4 << 3 | 3 }, /* version 4, client */
	};
	head_prepare(frame, size, IPPROTO_UDP, options);
}

static void byte_address(union frame *frame, uint64_t number, uint64_t time)
{
	(void)time;
	frame->datagram.udp.source = head_address(frame, number);
}

static void ntp_address(union frame *frame, uint64_t number, uint64_t time)
{
	byte_address(frame, number, time);
	memcpy(frame->datagram.payload + FLOOD_NTP_TRANSMIT, &time, sizeof(time));
}

static const struct kind kinds[] = {
	{ "tcp", sizeof(struct syn), syn_prepare, syn_address },
	{ "ntp", sizeof(struct datagram), datagram_prepare, ntp_address },
	{ "byte", offsetof(struct datagram, payload) + 1, datagram_prepare, byte_address },
};

static const struct kind *kind_find(const char *name)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (strcmp(kinds[i].name, name) == 0)
			return &kinds[i];
	}
	return NULL;
}

static bool options_read(struct options *options, int argc, char **argv)
{
	uint8_t *mac = options->hardware;
	bool ok = true;
	int option;

	while (ok && (option = getopt(argc, argv, "i:m:d:p:r:t:o:k:")) != -1) {
		switch (option) {
		case 'i':
			options->interface = optarg;
			break;
		case 'm':
			ok = sscanf(optarg, "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", mac, mac + 1, mac + 2,
				    mac + 3, mac + 4, mac + 5) == ETH_ALEN;
			break;
		case 'd':
			ok = inet_pton(AF_INET, optarg, &options->address) == 1;
			break;
		case 'p':
			options->port = (uint16_t)atoi(optarg);
			break;
		case 'r':
			options->rate = atof(optarg);
			break;
		case 't':
			options->seconds = atof(optarg);
			break;
		case 'o':
			options->object = optarg;
			break;
		case 'k':
			options->kind = kind_find(optarg);
			break;
		default:
			ok = false;
		}
	}
	return ok && options->kind && options->interface && options->object && options->port > 0 &&
	       options->rate > 0 && options->seconds > 0;
}

/* Sends at options->rate for options->seconds. */
static void flood(int fd, const struct options *options, struct result *result)
{
	union frame frames[BATCH];
	struct iovec parts[BATCH];
	struct mmsghdr messages[BATCH] = { 0 };
	const unsigned int batch = options->rate < SLOW ? 1 : BATCH;
	const uint64_t start = now();
	const uint64_t end = start + (uint64_t)(options->seconds * (double)SECOND);
	uint64_t steady = start + (end - start) / 5;
	uint64_t number = start >> 12; /* no source twice within TIME_WAIT, also in later runs */
	uint64_t replied_early = 0;
	uint64_t time;

	for (unsigned int i = 0; i < batch; i++) {
		options->kind->prepare(&frames[i], options);
		parts[i] = (struct iovec){ &frames[i], options->kind->size };
		messages[i].msg_hdr = (struct msghdr){ .msg_iov = &parts[i], .msg_iovlen = 1 };
	}
	while ((time = now()) < end) {
		double due = (double)(time - start) * options->rate / (double)SECOND;
		int sent;

		if (replied_early == 0 && time >= steady) {
			counts_read(&result->counts);
			replied_early = result->counts.replied;
			steady = time;
		}
		if (due < (double)(result->sent + batch))
			continue;
		for (unsigned int i = 0; i < batch; i++)
			options->kind->address(&frames[i], number++, time);
		sent = sendmmsg(fd, messages, batch, 0);
		result->sent += sent > 0 ? (uint64_t)sent : 0;
	}
	counts_read(&result->counts);
	result->elapsed = (double)(time - start) / (double)SECOND;
	result->steady_rate = (double)(result->counts.replied - replied_early) * (double)SECOND /
			      (double)(time - steady);
}

/* Waits for the replies to the requests in the server's queue. */
static void await_rest(struct flood_counts *counts)
{
	uint64_t before = counts->replied + 1;

	for (int i = 0; i < 20 && counts->replied != before; i++) {
		before = counts->replied;
		usleep(10000);
		counts_read(counts);
	}
}

static void result_print(const struct result *result)
{
	const struct flood_counts *counts = &result->counts;

	printf("{\"sent\":%llu,\"sent_rate\":%.0f,\"replied\":%llu,\"reply_rate\":%.0f,"
	       "\"steady_rate\":%.0f,\"late\":%llu,\"resets\":%llu,\"bytes\":%llu,"
	       "\"p50_us\":%.1f,\"p99_us\":%.1f}\n",
	       (unsigned long long)result->sent, (double)result->sent / result->elapsed,
	       counts->replied, (double)counts->replied / result->elapsed, result->steady_rate,
	       counts->late, counts->resets, counts->bytes,
	       (double)histogram_quantile(counts->latency, 500) / 1000,
	       (double)histogram_quantile(counts->latency, 990) / 1000);
}

int main(int argc, char **argv)
{
	struct options options = { .kind = &kinds[0] };
	struct result result = { 0 };
	int interface, fd;

	if (!options_read(&options, argc, argv))
		return 2;
	interface = (int)if_nametoindex(options.interface);
	fd = interface > 0 ? packet_socket_open(interface) : -1;
	if (fd < 0) {
		perror("flood: packet socket");
		return 1;
	}
	if (!program_attach(&options, interface)) {
		perror("flood: BPF program");
		return 1;
	}
	flood(fd, &options, &result);
	await_rest(&result.counts);
	result_print(&result);
	return 0;
}
