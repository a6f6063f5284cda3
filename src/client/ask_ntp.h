/* NTP (RFC 5905) as a client that tells nothing of itself: every field of the request but a random
 * transmit time is zero (RFC 9109). */
#ifndef CLIENT_ASK_NTP_H
#define CLIENT_ASK_NTP_H

#include "client/ask.h"
#include "client/datagram.h"

/* The scheme's ask function. */
void ask_ntp(const struct ask_question *question, struct ask_answer *answer);

/* Writes a request and judges what came back, as datagram.h has it. Pure. A server that says it is
 * not synchronised is doubted; one that says it may be off by more than a second is not: that is in
 * the bound. */
extern const struct datagram_protocol ask_ntp_protocol;

#endif
