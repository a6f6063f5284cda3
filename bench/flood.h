/* Shared by flood.c and its BPF program, flood.bpf.c. */
#ifndef BENCH_FLOOD_H
#define BENCH_FLOOD_H

#include "histogram.h"

/* Requests come from 10.97.0.0/20; the BPF program takes all packets to 10.97.0.0/16. */
#define FLOOD_NETWORK	   0x0a610000U
#define FLOOD_NETWORK_MASK 0xffff0000U
#define FLOOD_SOURCES	   4096U

/* A SYN's sequence number is the time of sending, in units of 2^8 ns; the FIN acknowledges it. */
#define FLOOD_TIME_SHIFT 8

/* A later reply belongs to a retransmission. In nanoseconds. */
#define FLOOD_LATE (500ULL * 1000 * 1000)

/* Offsets of the transmit time in an NTP request, which flood sets to the time in nanoseconds, and
 * of the origin in a reply, which repeats it. An echo is the request itself. */
#define FLOOD_NTP_SIZE	   48
#define FLOOD_NTP_TRANSMIT 40
#define FLOOD_NTP_ORIGIN   24
#define FLOOD_NTP_SERVER   4 /* mode of a reply */

struct flood_counts {
	__u64 replied; /* connections with text and FIN; datagrams */
	__u64 late;    /* the same, but after FLOOD_LATE */
	__u64 resets;
	__u64 bytes;		       /* of text */
	__u64 latency[HISTOGRAM_SIZE]; /* SYN to FIN, or request to reply */
};

#endif
