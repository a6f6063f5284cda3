#include "server/upgrade/hand_over.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>

#include "base/log.h"
#include "clock/clock.h"
#include "server/control/control_message.h"
#include "server/process/timeouts.h"
#include "server/upgrade/upgrade_message.h"

/* For a refused successor to exit, before it is killed. */
#define EXIT_TIME CLOCK_SECOND

#define RELOCK_INTERVAL (CLOCK_SECOND / 10)

void hand_over_init(struct hand_over *hand_over, struct control *control, struct pidfile *pidfile)
{
	*hand_over = (struct hand_over){
		.control = control,
		.pidfile = pidfile,
		.peer = -1,
		.relock_at = INT64_MAX,
	};
}

static bool send_item(int peer, enum upgrade_item item, int fd)
{
	return upgrade_message_send(peer, &(struct upgrade_message){ .item = item, .fd = fd });
}

static bool send_all(const struct hand_over *hand_over, const struct listeners *listeners,
		     const struct notify *notify)
{
	int peer = hand_over->control->peers[hand_over->peer];
	struct upgrade_message end = {
		.item = UPGRADE_END,
		.fd = -1,
		.watchdog = notify->watchdog,
	};
	bool sent = send_item(peer, UPGRADE_PIDFILE, hand_over->pidfile->fd) &&
		    send_item(peer, UPGRADE_CONTROL, hand_over->control->fd);

	if (sent && notify->socket >= 0)
		sent = send_item(peer, UPGRADE_NOTIFY, notify->socket);
	for (size_t i = 0; sent && i < listeners->count; i++) {
		struct upgrade_message message = {
			.item = UPGRADE_LISTENER,
			.fd = listeners->items[i].fd,
			.listener = listeners->items[i],
		};

		sent = upgrade_message_send(peer, &message);
	}
	return sent && upgrade_message_send(peer, &end);
}

static void send_refusal(const struct hand_over *hand_over, const char *reason)
{
	struct upgrade_message message = { .item = UPGRADE_REFUSED, .fd = -1 };

	snprintf(message.text, sizeof(message.text), "%s", reason);
	upgrade_message_send(hand_over->control->peers[hand_over->peer], &message);
}

/* The successor may hold the PID lock until it exits, and --signal goes to the holder. If it
 * ignores the refusal it is killed; one of root cannot be by the user that this process has become,
 * and keeps the lock of a file that is no longer the pid file. */
static void relock(struct hand_over *hand_over, int64_t now)
{
	struct failure failure;

	if (pidfile_relock(hand_over->pidfile, &failure)) {
		hand_over->relock_at = INT64_MAX;
		return;
	}
	hand_over->relock_at = now + RELOCK_INTERVAL;
	if (hand_over->kill_at > now)
		return;
	log_limited(&hand_over->failures, LOG_WARNING, "%s", failure.text);
	if (hand_over->successor > 0 &&
	    pidfile_successor(hand_over->pidfile) == hand_over->successor &&
	    kill(hand_over->successor, SIGKILL) < 0 && errno == EPERM &&
	    pidfile_replace(hand_over->pidfile))
		hand_over->relock_at = INT64_MAX;
}

static enum hand_over_verdict fail(struct hand_over *hand_over)
{
	int64_t now = clock_monotonic();

	control_drop(hand_over->control, (unsigned)hand_over->peer);
	hand_over->control->owned = true;
	hand_over->peer = -1;
	hand_over->kill_at = now + EXIT_TIME;
	relock(hand_over, now);
	return HAND_OVER_FAILED;
}

enum hand_over_verdict hand_over_start(struct hand_over *hand_over, unsigned peer,
				       const struct listeners *listeners,
				       const struct notify *notify)
{
	hand_over->peer = (int)peer;
	hand_over->successor = control_peer_process(hand_over->control, peer);
	hand_over->deadline = clock_monotonic() + TIMEOUT_HAND_OVER * CLOCK_SECOND;
	hand_over->relock_at = INT64_MAX;
	hand_over->control->owned = false;
	pidfile_hand_over(hand_over->pidfile);
	if (send_all(hand_over, listeners, notify))
		return HAND_OVER_PENDING;
	log_write(LOG_ERR, "cannot hand over: %m");
	send_refusal(hand_over, "cannot hand over");
	return fail(hand_over);
}

enum hand_over_verdict hand_over_receive(struct hand_over *hand_over)
{
	unsigned peer = (unsigned)hand_over->peer;
	char request[CONTROL_REQUEST_MAX];

	if (control_receive(hand_over->control, peer, request, sizeof(request)) &&
	    control_message_read(request) == CONTROL_COMMAND_SERVING)
		return HAND_OVER_DONE;
	return hand_over->control->peers[peer] < 0 ? fail(hand_over) : HAND_OVER_PENDING;
}

void hand_over_end(struct hand_over *hand_over)
{
	control_drop(hand_over->control, (unsigned)hand_over->peer);
}

/* Refuses a late successor, unless it has said in the meantime that it serves. */
static enum hand_over_verdict time_out(struct hand_over *hand_over)
{
	enum hand_over_verdict verdict;

	send_refusal(hand_over, "timed out");
	shutdown(hand_over->control->peers[hand_over->peer], SHUT_RD);
	verdict = hand_over_receive(hand_over);
	return verdict == HAND_OVER_PENDING ? fail(hand_over) : verdict;
}

enum hand_over_verdict hand_over_tick(struct hand_over *hand_over, int64_t now)
{
	if (hand_over_due(hand_over) > now)
		return HAND_OVER_PENDING;
	if (hand_over_is_active(hand_over))
		return time_out(hand_over);
	relock(hand_over, now);
	return HAND_OVER_PENDING;
}

int64_t hand_over_due(const struct hand_over *hand_over)
{
	return hand_over_is_active(hand_over) ? hand_over->deadline : hand_over->relock_at;
}
