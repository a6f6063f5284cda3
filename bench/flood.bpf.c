/*
 * A stateless TCP client at the ingress of the generator's interface: acknowledges the SYN-ACK and
 * the text, sends a FIN for the server's FIN, and counts. It turns the server's packet into the
 * client's in place, so that the generator needs less time than the server. UDP replies are counted
 * and dropped.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/pkt_cls.h>
#include <linux/tcp.h>
#include <linux/udp.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "flood.h"

#define WINDOW 64240

#define HEADERS_SIZE (sizeof(struct ethhdr) + sizeof(struct iphdr) + sizeof(struct tcphdr))

struct headers {
	struct ethhdr *ethernet;
	struct iphdr *ip;
	struct tcphdr *tcp;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct flood_counts);
} flood_counts SEC(".maps");

static __always_inline __u16 fold(__u32 sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (__u16)~sum;
}

static __always_inline __u32 sum_words(const void *data, __u32 size)
{
	const __u16 *words = data;
	__u32 sum = 0;

	for (__u32 i = 0; i < size / 2; i++)
		sum += words[i];
	return sum;
}

/* Finds the headers. Returns whether it is a TCP packet to FLOOD_NETWORK. */
static __always_inline int headers_find(struct __sk_buff *skb, struct headers *headers)
{
	void *data;

	if (bpf_skb_pull_data(skb, HEADERS_SIZE))
		return 0;
	data = (void *)(long)skb->data;
	if (data + HEADERS_SIZE > (void *)(long)skb->data_end)
		return 0;
	headers->ethernet = data;
	headers->ip = data + sizeof(struct ethhdr);
	headers->tcp = data + sizeof(struct ethhdr) + sizeof(struct iphdr);
	return headers->ethernet->h_proto == bpf_htons(ETH_P_IP) && headers->ip->ihl == 5 &&
	       headers->ip->protocol == IPPROTO_TCP &&
	       (bpf_ntohl(headers->ip->daddr) & FLOOD_NETWORK_MASK) == FLOOD_NETWORK;
}

static __always_inline void count_reply(struct flood_counts *counts, __u32 sent)
{
	__u32 units = (__u32)(bpf_ktime_get_ns() >> FLOOD_TIME_SHIFT) - sent;
	__u64 nanoseconds = (__u64)units << FLOOD_TIME_SHIFT;

	if (nanoseconds > FLOOD_LATE) {
		counts->late++;
		return;
	}
	counts->replied++;
	counts->latency[histogram_index(nanoseconds)]++;
}

static __always_inline void swap_addresses(const struct headers *headers)
{
	__u8 hardware[ETH_ALEN];
	__be32 address = headers->ip->saddr;
	__be16 port = headers->tcp->source;

	__builtin_memcpy(hardware, headers->ethernet->h_dest, ETH_ALEN);
	__builtin_memcpy(headers->ethernet->h_dest, headers->ethernet->h_source, ETH_ALEN);
	__builtin_memcpy(headers->ethernet->h_source, hardware, ETH_ALEN);
	headers->ip->saddr = headers->ip->daddr;
	headers->ip->daddr = address;
	headers->tcp->source = headers->tcp->dest;
	headers->tcp->dest = port;
}

static __always_inline void segment_write(const struct headers *headers, __u32 next, int fin)
{
	struct iphdr *ip = headers->ip;
	struct tcphdr *tcp = headers->tcp;
	__be32 seq = tcp->ack_seq;
	__u32 sum;

	swap_addresses(headers);
	ip->tot_len = bpf_htons(sizeof(*ip) + sizeof(*tcp));
	ip->id = 0;
	ip->check = 0;
	ip->check = fold(sum_words(ip, sizeof(*ip)));
	__builtin_memset((void *)tcp + 8, 0, sizeof(*tcp) - 8);
	tcp->seq = seq;
	tcp->ack_seq = bpf_htonl(next);
	tcp->doff = sizeof(*tcp) / 4;
	tcp->ack = 1;
	tcp->fin = fin != 0;
	tcp->window = bpf_htons(WINDOW);
	sum = sum_words(&ip->saddr, 8) + sum_words(tcp, sizeof(*tcp));
	tcp->check = fold(sum + bpf_htons(IPPROTO_TCP) + bpf_htons(sizeof(*tcp)));
}

/* The latency is known of replies as long as NTP's only. */
static __always_inline void count_datagram(struct __sk_buff *skb, struct flood_counts *counts)
{
	const __u32 payload = sizeof(struct ethhdr) + sizeof(struct iphdr) + sizeof(struct udphdr);
	__u32 offset = payload + FLOOD_NTP_TRANSMIT;
	__u64 sent, nanoseconds;
	__u8 first;

	counts->replied++;
	if (skb->len < payload + FLOOD_NTP_SIZE || bpf_skb_load_bytes(skb, payload, &first, 1))
		return;
	if ((first & 7) == FLOOD_NTP_SERVER)
		offset = payload + FLOOD_NTP_ORIGIN;
	if (bpf_skb_load_bytes(skb, offset, &sent, sizeof(sent)))
		return;
	nanoseconds = bpf_ktime_get_ns() - sent;
	if (nanoseconds < FLOOD_LATE)
		counts->latency[histogram_index(nanoseconds)]++;
}

/* Counts a UDP reply. Returns whether it is one. */
static __always_inline int count_if_datagram(struct __sk_buff *skb)
{
	struct flood_counts *counts;
	struct iphdr ip;
	__u32 key = 0;

	if (skb->protocol != bpf_htons(ETH_P_IP) ||
	    bpf_skb_load_bytes(skb, sizeof(struct ethhdr), &ip, sizeof(ip)) ||
	    ip.protocol != IPPROTO_UDP ||
	    (bpf_ntohl(ip.daddr) & FLOOD_NETWORK_MASK) != FLOOD_NETWORK)
		return 0;
	counts = bpf_map_lookup_elem(&flood_counts, &key);
	if (counts)
		count_datagram(skb, counts);
	return 1;
}

SEC("tc")
int flood_reply(struct __sk_buff *skb)
{
	struct headers headers;
	struct flood_counts *counts;
	__u32 key = 0;
	__u32 size;
	int fin;

	if (count_if_datagram(skb))
		return TC_ACT_SHOT;
	if (!headers_find(skb, &headers))
		return TC_ACT_OK;
	counts = bpf_map_lookup_elem(&flood_counts, &key);
	if (!counts)
		return TC_ACT_SHOT;
	if (headers.tcp->rst) {
		counts->resets++;
		return TC_ACT_SHOT;
	}
	size = bpf_ntohs(headers.ip->tot_len) - sizeof(struct iphdr) - headers.tcp->doff * 4;
	fin = headers.tcp->fin;
	if (fin)
		count_reply(counts, bpf_ntohl(headers.tcp->ack_seq) - 1);
	if (!fin && !headers.tcp->syn && size == 0)
		return TC_ACT_SHOT;
	counts->bytes += size;
	segment_write(&headers, bpf_ntohl(headers.tcp->seq) + size + (headers.tcp->syn || fin),
		      fin);
	if (bpf_skb_change_tail(skb, HEADERS_SIZE, 0))
		return TC_ACT_SHOT;
	return (int)bpf_redirect(skb->ifindex, 0);
}

char flood_license[] SEC("license") = "GPL";
