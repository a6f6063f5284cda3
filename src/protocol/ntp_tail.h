/* What follows the 48 bytes of an NTP request. */
#ifndef PROTOCOL_NTP_TAIL_H
#define PROTOCOL_NTP_TAIL_H

#include "protocol/protocol.h"

/* Whether a request can be answered in spite of its tail: it has none, or extension fields that
 * fill it to the last byte (RFC 7822), which are skipped. An authenticator cannot be skipped: its
 * sender believes no reply without one. */
bool ntp_tail_check(const struct protocol_request *request);

#endif
