/* Time (RFC 868): four bytes, the seconds since 1900, modulo 2^32. */
#ifndef CLIENT_QUERY_TIME_H
#define CLIENT_QUERY_TIME_H

#include <stdbool.h>
#include <stddef.h>

#include "client/query.h"

/* The ask functions of the two schemes. */
void query_time(const struct query *query, struct sample *sample);
void query_time_udp(const struct query *query, struct sample *sample);

/* Judges all the bytes that a server sent. The era is the one in which the second is nearest to
 * this machine's clock: it is right as long as that is off by less than 68 years. With time and
 * delay set in answer, fills in valid and what was told; or error. */
bool query_time_parse(struct sample *sample, const void *bytes, size_t size);

#endif
