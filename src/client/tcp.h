/* Queries by TCP: the server sends without a request, as in Daytime and Time. */
#ifndef CLIENT_TCP_H
#define CLIENT_TCP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/query.h"

#define TCP_REPLY_MAX (2 * SAMPLE_TEXT_MAX) /* bytes; a longer reply is an error in any protocol */

struct tcp_reply {
	char bytes[TCP_REPLY_MAX];
	size_t size;
};

/* Whether the reply may be complete. */
typedef bool tcp_is_complete(const struct tcp_reply *reply);

/* Connects to the first address that accepts and reads a reply until the server closes, or until
 * 200 ms after it is complete, since many old servers do not close. Sets the address, delay and
 * local_time of sample and returns true, or sets its error and returns false. */
bool tcp_query(struct tcp_reply *reply, const struct query *query, struct sample *sample,
	       tcp_is_complete *is_complete);

#endif
