/* What a protocol is: one file and one row of PROTOCOL_LIST.
 *
 * A protocol turns a request into a reply and knows nothing else: no socket, no thread, no global,
 * no allocation. The row gives the server everything: the word in the configuration, the default
 * port, the labels of the counters, and what requests need on their way. */
#ifndef PROTOCOL_PROTOCOL_H
#define PROTOCOL_PROTOCOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "clock/clock.h"
#include "clock/clock_state.h"

/* No reply of any protocol is longer than this. */
#define PROTOCOL_REPLY_MAX 64

enum transport {
	TRANSPORT_TCP,
	TRANSPORT_UDP,
};

/* Which kiss-o'-death a reply is to be (RFC 5905 section 7.4). */
enum protocol_kod {
	PROTOCOL_KOD_NONE,
	PROTOCOL_KOD_RATE, /* above the rate of its prefix */
	PROTOCOL_KOD_DENY, /* refused by the access list */
};

struct protocol_request {
	const void *bytes; /* what came; nothing over TCP */
	size_t size;
	uint16_t peer_port;
	enum protocol_kod kod;
	const struct clock_second *now;	 /* the present second, for text */
	const struct clock_state *clock; /* how far the clock can be trusted */
	clock_ntp_time receive;		 /* when the request arrived */
	clock_ntp_time transmit;	 /* when the reply will leave */
	int8_t precision;		 /* of the clock: see clock_measure_precision */
};

struct protocol {
	const char *word; /* in the configuration: "daytime/tcp" */
	const char *name; /* "daytime" */
	enum transport transport;
	uint16_t port; /* assigned by IANA; where a listen line names none */

	/* What the server does for its requests: */
	bool loop_guard;    /* drop what may come from a server, limit the rate by default, and all
			     * networks together: it replies to any datagram, so two servers could
			     * reply to each other, and the reply is longer */
	bool kernel_stamps; /* stamp arrivals in the kernel; predict when replies leave */
	bool bounded_reply; /* drop replies that are longer than their request */
	bool has_kod;	    /* above the rate, let some requests through: to a reply or a KoD */
	bool reports_sync; /* serve in spite of "require-sync": replies say how far to trust them */

	/* The slow half, before the clock is read. Returns false for an invalid request, which is
	 * dropped. NULL: there is none. */
	bool (*prepare)(const struct protocol_request *request);

	/* Writes the reply; nothing written, or a writer that failed, means silence. NULL: workers
	 * do not serve it, a process of its own does. */
	void (*reply)(const struct protocol_request *request, struct bytes_writer *reply);
};

/* The rows: WORKER(reply function, members) for what workers serve, PROCESS(members) for what has a
 * process of its own. */
/* clang-format off */
#define PROTOCOL_LIST(WORKER, PROCESS)                                                             \
	WORKER(daytime_reply, .word = "daytime/tcp", .name = "daytime", .port = 13,                \
	       .transport = TRANSPORT_TCP)                                                         \
	WORKER(daytime_reply, .word = "daytime/udp", .name = "daytime", .port = 13,                \
	       .transport = TRANSPORT_UDP, .loop_guard = true)                                     \
	WORKER(time_reply, .word = "time/tcp", .name = "time", .port = 37,                         \
	       .transport = TRANSPORT_TCP)                                                         \
	WORKER(time_reply, .word = "time/udp", .name = "time", .port = 37,                         \
	       .transport = TRANSPORT_UDP, .loop_guard = true)                                     \
	WORKER(ntp_reply, .word = "ntp", .name = "ntp", .port = 123,                               \
	       .transport = TRANSPORT_UDP, .kernel_stamps = true, .bounded_reply = true,           \
	       .has_kod = true, .reports_sync = true, .prepare = ntp_tail_check)                   \
	PROCESS(.word = "http", .name = "http", .port = 80,                                        \
		.transport = TRANSPORT_TCP, .reports_sync = true)
/* clang-format on */

#define PROTOCOL_ONE(...) +1 /* NOLINT(bugprone-macro-parentheses): a sum of these */
#define PROTOCOL_COUNT	  (0 PROTOCOL_LIST(PROTOCOL_ONE, PROTOCOL_ONE))
extern const struct protocol protocol_table[PROTOCOL_COUNT];

/* The reply functions; the contract of each stands in its file. */
#define PROTOCOL_PROTOTYPE(reply, ...) \
	void(reply)(const struct protocol_request *request, struct bytes_writer *writer);
#define PROTOCOL_NO_PROTOTYPE(...)
PROTOCOL_LIST(PROTOCOL_PROTOTYPE, PROTOCOL_NO_PROTOTYPE)

/* The index of a row in the table: 0 to PROTOCOL_COUNT - 1. */
static inline size_t protocol_index(const struct protocol *protocol)
{
	return (size_t)(protocol - protocol_table);
}

/* Finds a row by its word in the configuration, such as "daytime/tcp"; NULL if there is none. */
const struct protocol *protocol_find(const char *word);

/* Room for the longest word and its end. */
#define PROTOCOL_WORD_SIZE 24

/* "tcp" or "udp". */
const char *protocol_transport_name(enum transport transport);

/* The loop guard: whether a datagram looks like a reply of Daytime, Time or NTP, which two servers
 * could send each other for ever. A reply of Time is known by its size alone, since the clock of
 * its server may be wrong. */
bool protocol_is_reply(const void *bytes, size_t size);

#endif
