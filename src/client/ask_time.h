/* Time (RFC 868): four bytes, the seconds since 1900, modulo 2^32. */
#ifndef CLIENT_ASK_TIME_H
#define CLIENT_ASK_TIME_H

#include <stdbool.h>
#include <stddef.h>

#include "client/ask.h"

/* The ask functions of the two schemes. */
void ask_time(const struct ask_question *question, struct ask_answer *answer);
void ask_time_udp(const struct ask_question *question, struct ask_answer *answer);

/* Judges all the bytes that a server sent. The era is the one in which the second is nearest to
 * this machine's clock: it is right as long as that is off by less than 68 years. With time and
 * delay set in answer, fills in valid and what was told; or error. */
bool ask_time_check(struct ask_answer *answer, const void *bytes, size_t size);

#endif
