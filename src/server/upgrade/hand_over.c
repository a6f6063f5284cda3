#include "server/upgrade/hand_over.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/log.h"
#include "server/attend.h"
#include "server/control/control_message.h"
#include "server/upgrade/take_over.h"

#define ROOM_MILLISECONDS 1000

/* More than a start may take: see daemon.c. */
#define PATIENCE_SECONDS 15

/* How long one has to end that has not taken over. */
#define TIME_TO_END CLOCK_SECOND

/* How often to try to have the pid file's name again. */
#define AGAIN (CLOCK_SECOND / 10)

/* Sends a line, with a descriptor unless that is -1. The peer is about to read; it is given a
 * moment to get on with that. */
static bool send_line(int peer, const char *line, int fd)
{
	union take_over_attachment attachment = { 0 };
	struct iovec bytes = { .iov_base = (char *)line, .iov_len = strlen(line) };
	struct msghdr message = { .msg_iov = &bytes, .msg_iovlen = 1 };
	struct pollfd room = { .fd = peer, .events = POLLOUT };

	if (fd >= 0) {
		message.msg_control = attachment.bytes;
		message.msg_controllen = sizeof(attachment.bytes);
		attachment.header = (struct cmsghdr){
			.cmsg_len = CMSG_LEN(sizeof(int)),
			.cmsg_level = SOL_SOCKET,
			.cmsg_type = SCM_RIGHTS,
		};
		memcpy(CMSG_DATA(&attachment.header), &fd, sizeof(fd));
	}
	while (sendmsg(peer, &message, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
		if (errno != EAGAIN || poll(&room, 1, ROOM_MILLISECONDS) != 1)
			return false;
	}
	return true;
}

static bool send_listener(int peer, const struct listener *listener)
{
	char line[TAKE_OVER_LINE_SIZE];

	snprintf(line, sizeof(line), "listen %s %u%s", listener->protocol->word, listener->shard,
		 listener->inherited ? " inherited" : "");
	return send_line(peer, line, listener->fd);
}

static bool send_all(const struct server *server, int peer)
{
	const struct listeners *listeners = &server->service.listeners;
	char end[TAKE_OVER_LINE_SIZE];
	bool sent = send_line(peer, "pidfile", server->pidfile.fd) &&
		    send_line(peer, "control", server->control.fd);

	if (sent && server->notify.socket >= 0)
		sent = send_line(peer, "notify", server->notify.socket);
	for (size_t i = 0; sent && i < listeners->count; i++)
		sent = send_listener(peer, &listeners->items[i]);
	snprintf(end, sizeof(end), "end %u", (unsigned)(server->notify.watchdog / 1000));
	return sent && send_line(peer, end, -1);
}

/* The name can be the successor's yet, until that has ended. One that has heard that it is to and
 * does not is ended: whoever asks for the daemon would be sent to it. */
static bool take_name_back(struct server *server, struct failure *failure)
{
	int64_t now = clock_monotonic();

	server->lent_until = now + AGAIN;
	if (pidfile_take_back(&server->pidfile, failure))
		return true;
	if (server->borrower > 0 && server->end_borrower_at <= now &&
	    pidfile_borrower(&server->pidfile) == server->borrower)
		kill(server->borrower, SIGKILL);
	return false;
}

static void take_back(struct server *server)
{
	struct failure ignored;

	server->end_borrower_at = clock_monotonic() + TIME_TO_END;
	server->successor = -1;
	server->control.lent = false;
	take_name_back(server, &ignored);
	server_attend(server);
	log_write(LOG_WARNING, "the process that was to take over has not: serving on");
}

static void refuse(struct server *server, unsigned peer, const char *reason)
{
	char *reply = control_message_reply(EXIT_NOT_STARTED, reason);

	control_reply(&server->control, peer, reply ? reply : CONTROL_MESSAGE_FAILED);
	free(reply);
}

void server_lend(struct server *server, unsigned peer)
{
	if (server->successor >= 0 || server->stopping) {
		refuse(server, peer, "is being replaced already");
		return;
	}
	server_attend_no_more(server);
	server->successor = (int)peer;
	server->borrower = control_peer_process(&server->control, peer);
	server->lent_until = clock_monotonic() + PATIENCE_SECONDS * CLOCK_SECOND;
	pidfile_lend(&server->pidfile);
	server->control.lent = true;
	if (send_all(server, server->control.peers[peer]))
		return;
	log_write(LOG_ERR, "cannot hand over: %m");
	refuse(server, peer, "hands nothing over");
	take_back(server);
}

/* Whether the successor has said that it serves. */
static bool has_taken_over(struct server *server, unsigned peer)
{
	long process = control_peer_process(&server->control, peer);
	char word[TAKE_OVER_LINE_SIZE];

	if (!control_receive(&server->control, peer, word, sizeof(word)) ||
	    strcmp(word, TAKE_OVER_COMPLETE) != 0)
		return false;
	log_write(LOG_NOTICE, "process %ld serves in place of this one", process);
	notify_send(&server->notify, "MAINPID=%ld", process);
	server->stopping = true;
	return true;
}

void server_hear_successor(struct server *server)
{
	unsigned peer = (unsigned)server->successor;

	if (!has_taken_over(server, peer) && server->control.peers[peer] < 0)
		take_back(server);
}

/* Once it can say no more, what it has said until then decides. */
static void give_up(struct server *server)
{
	unsigned peer = (unsigned)server->successor;
	char *reply = control_message_reply(EXIT_NOT_STARTED, "has not waited so long");

	send_line(server->control.peers[peer], reply ? reply : CONTROL_MESSAGE_FAILED, -1);
	free(reply);
	shutdown(server->control.peers[peer], SHUT_RD);
	if (has_taken_over(server, peer))
		return;
	control_drop(&server->control, peer);
	take_back(server);
}

int64_t server_tick_loan(struct server *server, int64_t now)
{
	static struct log_limit failures;
	struct failure failure;

	if (!server->pidfile.lent)
		return INT64_MAX;
	if (server->lent_until > now)
		return server->lent_until;
	if (server->successor >= 0)
		give_up(server);
	else if (!take_name_back(server, &failure))
		log_limited(&failures, LOG_WARNING, "%s", failure.text);
	return server->pidfile.lent ? server->lent_until : INT64_MAX;
}
