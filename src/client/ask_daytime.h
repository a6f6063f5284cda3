/* Daytime over TCP (RFC 867): connect, and the server says the time in a line of its own liking. */
#ifndef CLIENT_ASK_DAYTIME_H
#define CLIENT_ASK_DAYTIME_H

#include <stdbool.h>
#include <stddef.h>

#include "client/ask.h"

/* The scheme's ask function. An answer is what comes until the server closes or, once there is a
 * whole line, until a fifth of a second later: many an old server does not close. */
void ask_daytime(const struct ask_question *question, struct ask_answer *answer);

/* Judges all the bytes that a server sent: one line of 1 to ASK_TEXT_LIMIT printable ASCII
 * characters, with any number of CR and LF before and after it. Fills in valid and text, or error.
 * Pure. */
bool ask_daytime_check(struct ask_answer *answer, const void *bytes, size_t size);

#endif
