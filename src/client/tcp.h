/* What a server says on its own to whoever connects, as with Daytime and Time over TCP. */
#ifndef CLIENT_TCP_H
#define CLIENT_TCP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/query.h"

#define TCP_REPLY_MAX (2 * SAMPLE_TEXT_MAX) /* bytes; more than that is too much for any answer */

struct tcp_reply {
	char bytes[TCP_REPLY_MAX];
	size_t size;
};

/* Whether the bytes that have come can be all of the answer. */
typedef bool tcp_is_complete(const struct tcp_reply *reply);

/* Connects to the first address that can be reached and takes in what is said there: until the
 * server closes or, once it can be all, until a fifth of a second later, since many an old server
 * does not close. Sets in answer the address and, if it returns true, delay and time; else the
 * error. */
bool tcp_query(struct tcp_reply *reply, const struct query *query, struct sample *sample,
	       tcp_is_complete *is_complete);

#endif
