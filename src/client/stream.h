/* What a server says on its own to whoever connects, as with Daytime and Time over TCP. */
#ifndef CLIENT_STREAM_H
#define CLIENT_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/query.h"

#define STREAM_LIMIT (2 * SAMPLE_TEXT_MAX) /* bytes; more than that is too much for any answer */

struct stream {
	char bytes[STREAM_LIMIT];
	size_t size;
};

/* Whether the bytes that have come can be all of the answer. */
typedef bool stream_is_whole(const struct stream *stream);

/* Connects to the first address that can be reached and takes in what is said there: until the
 * server closes or, once it can be all, until a fifth of a second later, since many an old server
 * does not close. Sets in answer the address and, if it returns true, delay and time; else the
 * error. */
bool stream_ask(struct stream *stream, const struct query *query, struct sample *sample,
		stream_is_whole *is_whole);

#endif
