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

/* The polling interval, and the longest by KoDs with code RATE, each of which doubles it. */
#define FOLLOW_INTERVAL	    (250 * CLOCK_MILLISECOND)
#define FOLLOW_INTERVAL_MAX (64 * CLOCK_SECOND)

/* After an unanswered request the pause until the next is twice as long, up to FOLLOW_PAUSE_MAX, or
 * FOLLOW_PAUSE_LOST if the clock is not synchronised. The default of chronyd's "ratelimit" lets a
 * request through every 8 s. */
#define FOLLOW_PAUSE_MAX  (8 * CLOCK_SECOND)
#define FOLLOW_PAUSE_LOST CLOCK_SECOND

/* A reply after this number of unanswered requests doubles the interval, up to FOLLOW_PAUSE_MAX;
 * this number of answered ones in a row halves it, and another one after a KoD with code RATE. */
#define FOLLOW_MISSES	  3
#define FOLLOW_HITS	  4
#define FOLLOW_HITS_RATED 16

/* Unanswered requests until the server counts as lost, as with the reach register of ntpd and
 * chronyd: 32 s at the shortest interval, and 9 intervals from FOLLOW_PAUSE_MAX. */
#define FOLLOW_LOST 8

/* The same for requests that this host refuses, as no socket has the port. */
#define FOLLOW_REFUSED 3

/* How old a request may be to take a reply, and how many are remembered, to know a late reply. */
#define FOLLOW_REPLY_MAX_AGE CLOCK_SECOND
#define FOLLOW_REQUESTS	     16

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
	bool same_host; /* the server has an address of this host */
	int socket;	/* connected to server; -1: not found yet */
	struct follow_request requests[FOLLOW_REQUESTS];
	unsigned asked; /* requests sent by this socket */
	int64_t interval;
	int hits;	     /* answered requests since the interval changed; negative after RATE */
	unsigned unanswered; /* requests since the last reply other than RATE */
	unsigned refused;    /* of these: for FOLLOW_REFUSED */
	int64_t retry_backoff;
	int64_t found;	     /* when the address was found, or a reply came from it */
	int64_t next;	     /* when to send a request, or to look for the server */
	const char *problem; /* with what came since the last reply; NULL: nothing came */
	const char *reason;  /* why the clock is not synchronised; NULL: it is */
	struct clock_state state;
};

/* Prepares to follow the server of source, which must outlive it. Sends nothing yet. */
void follow_open(struct follow *follow, const struct config_clock *source, int64_t now);

/* Does what is due at now. Returns when to be called again, at the latest. */
int64_t follow_tick(struct follow *follow, int64_t now);

/* Takes replies that wait at follow->socket. */
void follow_receive(struct follow *follow, int64_t now);

/* The clock was set: forgets requests sent before, and does not wait long to send another. */
void follow_forget(struct follow *follow, int64_t now);

/* Sets state to the clock state. Returns NULL, or why it is not synchronised, in words that follow
 * the name of the server. */
const char *follow_state(const struct follow *follow, struct clock_state *state);

void follow_close(struct follow *follow);

#endif
