/* "clock follow": polls an NTP server, and sets the clock state by its replies. Runs in the clock
 * monitor; nothing in it blocks. */
#ifndef SERVER_FOLLOW_H
#define SERVER_FOLLOW_H

#include <stdbool.h>
#include <stdint.h>

#include "base/address.h"
#include "clock/clock_state.h"
#include "protocol/ntp_reference.h"
#include "server/clock/lookup.h"
#include "server/config/config.h"

/* The polling interval; each KoD with code RATE doubles it. */
#define FOLLOW_INTERVAL	    (250 * CLOCK_MILLISECOND)
#define FOLLOW_INTERVAL_MAX (64 * CLOCK_SECOND)

/* Intervals without a reply until the server counts as lost. */
#define FOLLOW_LOST 3

/* How old a request may be to take a reply, and how many are remembered. */
#define FOLLOW_REPLY_MAX_AGE CLOCK_SECOND
#define FOLLOW_REQUESTS	     4

/* The pause after a KoD with code DENY or RSTR. */
#define FOLLOW_DENY_BACKOFF (60 * CLOCK_SECOND)

/* How long a silent server is polled before its address is looked up again; doubles each time. */
#define FOLLOW_BACKOFF	   (2 * CLOCK_SECOND)
#define FOLLOW_BACKOFF_MAX (64 * CLOCK_SECOND)

struct follow_request {
	clock_ntp_time nonce; /* 0: none, or it has its reply */
	clock_ntp_time sent;
	int64_t asked; /* the same on the monotonic clock, like every int64_t here */
};

struct follow {
	const struct config_clock *source;
	struct lookup *lookup; /* running; NULL: none */
	unsigned attempt;      /* picks one of the addresses of a name */
	struct address server;
	int socket; /* connected to server; -1: not found yet */
	struct follow_request requests[FOLLOW_REQUESTS];
	unsigned asked; /* requests sent by this socket */
	int64_t interval;
	int64_t retry_backoff;
	int64_t next;			    /* when to send a request, or to look for the server */
	int64_t last_reply;		    /* or the first request, before there is one */
	enum ntp_client_verdict last_error; /* of what came since then */
	const char *reason;		    /* why the clock is not synchronised; NULL: it is */
	struct clock_state state;
};

/* Prepares to follow the server of source, which must outlive it. Sends nothing yet. */
void follow_open(struct follow *follow, const struct config_clock *source, int64_t now);

/* Does what is due at now. Returns when to be called again, at the latest. */
int64_t follow_tick(struct follow *follow, int64_t now);

/* Takes replies that wait at follow->socket. */
void follow_receive(struct follow *follow, int64_t now);

/* The clock was set: forgets requests sent before. */
void follow_forget(struct follow *follow, int64_t now);

/* Sets state to the clock state. Returns NULL, or why it is not synchronised, in words that follow
 * the name of the server. */
const char *follow_state(const struct follow *follow, struct clock_state *state);

void follow_close(struct follow *follow);

#endif
