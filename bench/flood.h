/* What flood.c and its BPF program, flood.bpf.c, agree on. */
#ifndef BENCH_FLOOD_H
#define BENCH_FLOOD_H

#include "histogram.h"

/* The connections come from 10.97.0.0/20; whatever goes to 10.97.0.0/16 is the BPF program's. */
#define FLOOD_NETWORK	   0x0a610000U
#define FLOOD_NETWORK_MASK 0xffff0000U
#define FLOOD_SOURCES	   4096U

/* A SYN's sequence number is the time it left in these units of 2^8 ns: the answer brings it back.
 */
#define FLOOD_TIME_SHIFT 8

/* An answer that came later than this belongs to a retransmission, not to the rate measured. */
#define FLOOD_LATE (500ULL * 1000 * 1000)

/* Where an NTP request has its transmit time, which flood sets to the time in nanoseconds, and an
 * answer its origin, which is that again; the answer of an echo is the request. */
#define FLOOD_NTP_SIZE	   48
#define FLOOD_NTP_TRANSMIT 40
#define FLOOD_NTP_ORIGIN   24
#define FLOOD_NTP_SERVER   4 /* the mode of an answer */

struct flood_counts {
	__u64 answered; /* connections whose text and FIN came; datagrams */
	__u64 late;	/* the same, but after FLOOD_LATE */
	__u64 resets;
	__u64 bytes;		       /* of text */
	__u64 latency[HISTOGRAM_SIZE]; /* SYN to FIN, of those answered */
};

#endif
