#include "server/handover.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/text.h"
#include "server/events.h"
#include "server/request.h"
#include "server/server.h"

/* What goes over is a line for each descriptor, in a message with it, so that the next version may
 * add to them: "pidfile", "control", "notify", "listen PROTOCOL SET [inherited]", and at last,
 * without a descriptor, "end WATCHDOG", in microseconds. */
#define GROUPS_SIZE	  4096
#define LINE_SIZE	  128
#define PATIENCE_SECONDS  10
#define ROOM_MILLISECONDS 1000

/* Said by the new process once it serves. */
#define COMPLETE "serving"

/* Room for one descriptor, aligned as the kernel wants it. */
union attachment {
	struct cmsghdr header;
	char bytes[CMSG_SPACE(sizeof(int))];
};

/* Sends a line, with a descriptor unless that is -1. The peer is about to read; it is given a
 * moment to get on with that. */
static bool send_line(int peer, const char *line, int fd)
{
	union attachment attachment = { 0 };
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
	char line[LINE_SIZE];

	snprintf(line, sizeof(line), "listen %s %u%s", listener->protocol->word, listener->set,
		 listener->inherited ? " inherited" : "");
	return send_line(peer, line, listener->fd);
}

static bool send_all(const struct server *server, int peer)
{
	const struct listeners *listeners = &server->service.listeners;
	char end[LINE_SIZE];
	bool sent = send_line(peer, "pidfile", server->pidfile.fd) &&
		    send_line(peer, "control", server->control.fd);

	if (sent && server->notify.socket >= 0)
		sent = send_line(peer, "notify", server->notify.socket);
	for (size_t i = 0; sent && i < listeners->count; i++)
		sent = send_listener(peer, &listeners->items[i]);
	snprintf(end, sizeof(end), "end %u", (unsigned)(server->notify.watchdog / 1000));
	return sent && send_line(peer, end, -1);
}

static void take_back(struct server *server)
{
	struct failure failure;

	server->successor = -1;
	server->control.lent = false;
	if (!pidfile_take_back(&server->pidfile, &failure))
		log_write(LOG_WARNING, "%s", failure.text);
	if (!event_watch(server->epoll, EPOLL_CTL_ADD, server->control.fd,
			 event_tag(EVENT_CONTROL, CONTROL_PEERS)))
		log_write(LOG_WARNING, "no longer listening to --signal: %m");
	log_write(LOG_WARNING, "the process that was to take over has not: serving on");
}

static void refuse(struct server *server, unsigned peer, const char *reason)
{
	char *reply = request_reply(EXIT_NOT_STARTED, reason);

	control_reply(&server->control, peer, reply ? reply : REQUEST_FAILED);
	free(reply);
}

void server_lend(struct server *server, unsigned peer)
{
	if (server->successor >= 0 || server->stopping) {
		refuse(server, peer, "is being replaced already");
		return;
	}
	epoll_ctl(server->epoll, EPOLL_CTL_DEL, server->control.fd, NULL);
	server->successor = (int)peer;
	pidfile_lend(&server->pidfile);
	server->control.lent = true;
	if (send_all(server, server->control.peers[peer]))
		return;
	log_write(LOG_ERR, "cannot hand over: %m");
	refuse(server, peer, "hands nothing over");
	take_back(server);
}

void server_hear_successor(struct server *server)
{
	unsigned peer = (unsigned)server->successor;
	long process = control_peer_process(&server->control, peer);
	char word[LINE_SIZE];

	if (control_receive(&server->control, peer, word, sizeof(word))) {
		if (strcmp(word, COMPLETE) != 0)
			return;
		log_write(LOG_NOTICE, "process %ld serves in place of this one", process);
		notify_send(&server->notify, "MAINPID=%ld", process);
		server->stopping = true;
	} else if (server->control.peers[peer] < 0) {
		take_back(server);
	}
}

/* Receives a line, and its descriptor, or -1 if it has none. */
static bool receive_line(int peer, char line[static LINE_SIZE], int *fd)
{
	union attachment attachment;
	struct iovec bytes = { .iov_base = line, .iov_len = LINE_SIZE - 1 };
	struct msghdr message = {
		.msg_iov = &bytes,
		.msg_iovlen = 1,
		.msg_control = attachment.bytes,
		.msg_controllen = sizeof(attachment.bytes),
	};
	ssize_t length = recvmsg(peer, &message, MSG_CMSG_CLOEXEC);
	const struct cmsghdr *header;

	*fd = -1;
	if (length <= 0)
		return false;
	line[length] = '\0';
	header = CMSG_FIRSTHDR(&message);
	if (header && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS &&
	    header->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(fd, CMSG_DATA(header), sizeof(*fd));
	return true;
}

/* "ntp 3 inherited". One of a protocol that this version does not have is let go. */
static bool take_listener(struct handover *handover, const char *words, int fd,
			  struct failure *failure)
{
	char protocol[PROTOCOL_WORD_SIZE], number[16], inherited[16] = "";
	struct listener *listener;
	unsigned set;

	if (sscanf(words, "%23s %15s %15s", protocol, number, inherited) < 2 ||
	    !protocol_find(protocol) || !text_to_number(number, 0, WORKERS_MAX - 1, &set)) {
		close(fd);
		return true;
	}
	listener = listeners_adopt(&handover->listeners, fd, protocol, failure);
	if (!listener)
		return false;
	listener->set = set;
	listener->inherited = strcmp(inherited, "inherited") == 0;
	return true;
}

/* Keeps fd for what the line says that it is. */
static bool take_line(struct handover *handover, const char *line, int fd, struct failure *failure)
{
	static const char listen[] = "listen ";
	const struct place {
		const char *word;
		int *fd;
	} places[] = {
		{ "pidfile", &handover->pidfile },
		{ "control", &handover->control },
		{ "notify", &handover->notify },
	};

	if (fd < 0)
		return true;
	if (strncmp(line, listen, strlen(listen)) == 0)
		return take_listener(handover, line + strlen(listen), fd, failure);
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		if (strcmp(line, places[i].word) == 0 && *places[i].fd < 0) {
			*places[i].fd = fd;
			return true;
		}
	}
	close(fd);
	return true;
}

/* Who is not obeyed finds the connection closed, sooner or later, without a word. */
static bool cannot_ask(const struct handover *handover, const char *path, struct failure *failure)
{
	errno = handover->pidfile < 0 ? EACCES : ECONNRESET;
	return failure_set_errno(failure, "cannot ask the daemon of pid file %s", path);
}

static bool was_refused(const char *reply, const char *path, struct failure *failure)
{
	char reason[LINE_SIZE];

	request_read_reply(reply, reason, sizeof(reason));
	return failure_set(failure, EXIT_NOT_STARTED, "the daemon of pid file %s %s", path, reason);
}

static bool receive_all(struct handover *handover, const char *path, struct failure *failure)
{
	unsigned microseconds = 0;
	char line[LINE_SIZE], number[16];
	int fd;

	do {
		if (!receive_line(handover->fd, line, &fd))
			return cannot_ask(handover, path, failure);
		if (line[0] == '{')
			return was_refused(line, path, failure);
		if (!take_line(handover, line, fd, failure))
			return false;
	} while (sscanf(line, "end %15s", number) != 1);
	text_to_number(number, 0, UINT_MAX, &microseconds);
	handover->watchdog = microseconds * INT64_C(1000);
	return true;
}

/* Reads which control groups a process is in. */
static bool read_groups(const char *process, char text[static GROUPS_SIZE])
{
	char path[64];
	size_t length = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%s/cgroup", process);
	file = fopen(path, "re");
	if (file) {
		length = fread(text, 1, GROUPS_SIZE - 1, file);
		fclose(file);
	}
	text[length] = '\0';
	return length > 0;
}

/* A manager loses a service that goes on where it does not look. */
static bool is_in_sight(const char *path)
{
	char ours[GROUPS_SIZE], theirs[GROUPS_SIZE], process[16];

	snprintf(process, sizeof(process), "%ld", (long)pidfile_holder(path));
	return !read_groups(process, theirs) || !read_groups("self", ours) ||
	       strcmp(ours, theirs) == 0;
}

void handover_clear(struct handover *handover)
{
	*handover = (struct handover){ .fd = -1, .pidfile = -1, .control = -1, .notify = -1 };
}

bool handover_ask(struct handover *handover, const char *path, struct failure *failure)
{
	const char *request = request_line(REQUEST_UPGRADE);
	bool in_sight = is_in_sight(path);

	handover->fd = control_connect(path, PATIENCE_SECONDS, failure);
	if (handover->fd < 0)
		return false;
	if (send(handover->fd, request, strlen(request), MSG_NOSIGNAL) < 0)
		return cannot_ask(handover, path, failure);
	if (!receive_all(handover, path, failure))
		return false;
	if (handover->notify >= 0 && !in_sight)
		return failure_set(failure, EXIT_NOT_STARTED,
				   "the daemon of pid file %s has a service manager: have that one"
				   " reload it",
				   path);
	return true;
}

void handover_complete(struct handover *handover)
{
	if (handover->fd < 0)
		return;
	/* If it is no more, there is nobody left to end. */
	(void)!send(handover->fd, COMPLETE, strlen(COMPLETE), MSG_NOSIGNAL | MSG_DONTWAIT);
	handover_close(handover);
}

static void close_one(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void handover_close(struct handover *handover)
{
	close_one(&handover->fd);
	close_one(&handover->pidfile);
	close_one(&handover->control);
	close_one(&handover->notify);
	listeners_close_unless(&handover->listeners, NULL);
}
