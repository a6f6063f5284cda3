/* Daytime (RFC 867): the server says the time in a line of its own liking. */
#ifndef CLIENT_ASK_DAYTIME_H
#define CLIENT_ASK_DAYTIME_H

#include <stdbool.h>
#include <stddef.h>

#include "client/ask.h"

/* The ask functions of the two schemes. Over TCP an answer is what comes until the server closes
 * or, once there is a whole line, until a fifth of a second later. */
void ask_daytime(const struct ask_question *question, struct ask_answer *answer);
void ask_daytime_udp(const struct ask_question *question, struct ask_answer *answer);

/* Judges all the bytes that a server sent: one line of 1 to ASK_TEXT_LIMIT printable ASCII
 * characters, with any number of CR and LF before and after it. Fills in valid and text and, with
 * time and delay set, the offset if the text can be understood; or error. */
bool ask_daytime_check(struct ask_answer *answer, const void *bytes, size_t size);

#endif
