/* What a protocol is: one file and one row.
 *
 * A protocol turns a request into a reply and knows nothing else: no socket, no thread, no global,
 * no allocation. The row gives the server everything: the word in the configuration, the port, the
 * labels. */
#ifndef PROTOCOL_PROTOCOL_H
#define PROTOCOL_PROTOCOL_H

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "clock/clock.h"

/* No reply of any protocol is longer than this. */
#define PROTOCOL_REPLY_MAX 64

enum transport {
	TRANSPORT_TCP,
};

struct protocol_request {
	const struct clock_second *now; /* the time to tell */
};

struct protocol {
	const char *name;
	enum transport transport;
	uint16_t port; /* assigned by IANA */

	/* Writes the reply; nothing written, or a writer that failed, means silence. */
	void (*reply)(const struct protocol_request *request, struct bytes_writer *reply);
};

/* RFC 867: the time as one line of text, whatever the client sends: "Sun Nov 22 19:15:08 2026\r\n".
 * As ctime(3) has it: in English and in the host's time zone. Silent outside the years 1000 to
 * 9999, which that form cannot hold. */
void daytime_reply(const struct protocol_request *request, struct bytes_writer *reply);

/* The table, and how many rows it has. */
extern const struct protocol protocol_table[];
extern const size_t protocol_count;

/* Finds a row by its word in the configuration, such as "daytime/tcp"; NULL if there is none. */
const struct protocol *protocol_find(const char *word);

/* Room for the longest word and its end. */
#define PROTOCOL_WORD_SIZE 24

/* Writes the row's word into word and returns it. */
const char *protocol_word(const struct protocol *protocol, char word[static PROTOCOL_WORD_SIZE]);

/* "tcp" for TRANSPORT_TCP. */
const char *transport_name(enum transport transport);

#endif
