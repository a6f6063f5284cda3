/* The daemon's side of an upgrade: hands over all that it holds to a new process, the successor.
 *
 *	step			listening sockets		serving
 *	hand_over_start		duplicated: both hold them	this process
 *	successor starts	both				both
 *	HAND_OVER_DONE		this process drains, closes	the successor
 *	HAND_OVER_FAILED	the successor closes or exits	this process
 *
 * The successor has TIMEOUT_HAND_OVER to serve. See upgrade_message.h. */
#ifndef SERVER_HAND_OVER_H
#define SERVER_HAND_OVER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "server/control/control.h"
#include "server/process/notify.h"
#include "server/process/pidfile.h"
#include "server/sockets/listeners.h"

enum hand_over_verdict {
	HAND_OVER_PENDING, /* nothing new */
	HAND_OVER_DONE,	   /* the successor serves: this process is to drain and exit */
	HAND_OVER_FAILED,  /* this process has everything back and serves on */
};

struct hand_over {
	struct control *control;
	struct pidfile *pidfile;
	int peer;	   /* the successor, of control's; -1: there is none */
	pid_t successor;   /* its process */
	int64_t deadline;  /* for the successor to serve, on the monotonic clock */
	int64_t relock_at; /* after a failure: when to take the PID lock again; INT64_MAX: taken */
	int64_t kill_at;   /* and when to kill a successor that still holds it */
	struct log_limit failures;
};

void hand_over_init(struct hand_over *hand_over, struct control *control, struct pidfile *pidfile);

/* Whether there is a successor, which is about to serve or does already. */
static inline bool hand_over_is_active(const struct hand_over *hand_over)
{
	return hand_over->peer >= 0;
}

/* Whether no upgrade is under way: there is no successor, and no failed successor still has the PID
 * lock. */
static inline bool hand_over_is_settled(const struct hand_over *hand_over)
{
	return hand_over->peer < 0 && hand_over->relock_at == INT64_MAX;
}

/* Hands over everything to peer, which has asked for it. control must be paused and hand_over
 * settled. */
enum hand_over_verdict hand_over_start(struct hand_over *hand_over, unsigned peer,
				       const struct listeners *listeners,
				       const struct notify *notify);

/* Receives what the successor says. */
enum hand_over_verdict hand_over_receive(struct hand_over *hand_over);

/* Lets the successor go on after HAND_OVER_DONE. */
void hand_over_end(struct hand_over *hand_over);

/* Does what is due at now: refuses a successor that is late; after a failure, takes the PID lock
 * again, and kills a successor that does not release it. */
enum hand_over_verdict hand_over_tick(struct hand_over *hand_over, int64_t now);

/* When to call hand_over_tick. */
int64_t hand_over_due(const struct hand_over *hand_over);

#endif
