/* "clock follow": asks an NTP server, again and again, what to think of the system clock.
 *
 * All of it is done by the monitor's thread, and nothing in it blocks. */
#ifndef SERVER_FOLLOW_H
#define SERVER_FOLLOW_H

#include <stdbool.h>
#include <stdint.h>

#include "base/address.h"
#include "clock/clock_state.h"
#include "protocol/ntp_reference.h"
#include "server/clock/lookup.h"
#include "server/config/config.h"

/* How often the server is asked: unless it says that this is too often. */
#define FOLLOW_INTERVAL	    (250 * CLOCK_MILLISECOND)
#define FOLLOW_INTERVAL_MAX (64 * CLOCK_SECOND)

/* After so many intervals without an answer the server counts as gone. */
#define FOLLOW_LOST 3

/* How late an answer may be, and how many are waited for at a time. */
#define FOLLOW_REPLY_MAX_AGE CLOCK_SECOND
#define FOLLOW_REQUESTS	     4

/* For how long a server is left alone that does not want to be asked at all. */
#define FOLLOW_DENY_BACKOFF (60 * CLOCK_SECOND)

/* For how long a server is asked in vain before it is looked for anew: longer every time. */
#define FOLLOW_BACKOFF	   (2 * CLOCK_SECOND)
#define FOLLOW_BACKOFF_MAX (64 * CLOCK_SECOND)

struct follow_request {
	clock_ntp_time nonce; /* 0: there is none, or it was answered */
	clock_ntp_time sent;
	int64_t asked; /* the same on the monotonic clock, as all times that are int64_t here */
};

struct follow {
	const struct config_clock *source;
	struct lookup *lookup; /* under way; NULL: none is */
	unsigned attempt;      /* the addresses of a name are tried in turn */
	struct address server;
	int socket; /* to server; -1: it is still looked for */
	struct follow_request requests[FOLLOW_REQUESTS];
	unsigned asked; /* how many times by this socket */
	int64_t interval;
	int64_t retry_backoff;
	int64_t next;	    /* when to ask, or to look for the server */
	int64_t last_reply; /* when it last answered, or, before it has, was first asked */
	enum ntp_client_verdict last_error; /* why what came since then is no answer */
	const char *reason;		    /* why the clock is not synchronised; NULL: it is */
	struct clock_state state;
};

/* Prepares to follow the server of source, which must outlive it. Asks nothing yet. */
void follow_open(struct follow *follow, const struct config_clock *source, int64_t now);

/* Does what is due at now. Returns when to be called again, at the latest. */
int64_t follow_tick(struct follow *follow, int64_t now);

/* Takes what has come in at follow->socket, if anything. */
void follow_receive(struct follow *follow, int64_t now);

/* The clock was set: what was asked and answered before says nothing of it any more. */
void follow_forget(struct follow *follow, int64_t now);

/* What to say of the clock. Returns NULL, or why it is not synchronised, in words that follow the
 * server's name. */
const char *follow_state(const struct follow *follow, struct clock_state *state);

void follow_close(struct follow *follow);

#endif
