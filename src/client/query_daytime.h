/* Daytime (RFC 867): the server says the time in a line of its own liking. */
#ifndef CLIENT_QUERY_DAYTIME_H
#define CLIENT_QUERY_DAYTIME_H

#include <stdbool.h>
#include <stddef.h>

#include "client/query.h"

/* The ask functions of the two schemes. Over TCP an answer is what comes until the server closes
 * or, once there is a whole line, until a fifth of a second later. */
void query_daytime(const struct query *query, struct sample *sample);
void query_daytime_udp(const struct query *query, struct sample *sample);

/* Judges all the bytes that a server sent: one line of 1 to SAMPLE_TEXT_MAX printable ASCII
 * characters, with any number of CR and LF before and after it. Fills in valid and text and, with
 * time and delay set, the offset if the text can be understood; or error. */
bool query_daytime_parse(struct sample *sample, const void *bytes, size_t size);

#endif
