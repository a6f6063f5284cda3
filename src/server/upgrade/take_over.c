#include "server/upgrade/take_over.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/text.h"
#include "server/control/control.h"
#include "server/control/control_message.h"
#include "server/request/workers.h"

#define GROUPS_SIZE 4096
/* Less than a start may take (see daemon.c), so that there is time to say what is wrong. */
#define PATIENCE_SECONDS 8

/* Receives a line, and its descriptor, or -1 if it has none. */
static bool receive_line(int peer, char line[static TAKE_OVER_LINE_SIZE], int *fd)
{
	union take_over_attachment attachment;
	struct iovec bytes = { .iov_base = line, .iov_len = TAKE_OVER_LINE_SIZE - 1 };
	struct msghdr message = {
		.msg_iov = &bytes,
		.msg_iovlen = 1,
		.msg_control = attachment.bytes,
		.msg_controllen = sizeof(attachment.bytes),
	};
	const struct cmsghdr *header;
	ssize_t length;

	*fd = -1;
	errno = 0;
	length = recvmsg(peer, &message, MSG_CMSG_CLOEXEC);
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
static bool take_listener(struct take_over *take_over, const char *words, int fd,
			  struct failure *failure)
{
	char protocol[PROTOCOL_WORD_SIZE], number[16], inherited[16] = "";
	struct listener *listener;
	unsigned shard;

	if (sscanf(words, "%23s %15s %15s", protocol, number, inherited) < 2 ||
	    !protocol_find(protocol) || !text_to_number(number, 0, WORKERS_MAX - 1, &shard)) {
		close(fd);
		return true;
	}
	listener = listeners_adopt(&take_over->listeners, fd, protocol, failure);
	if (!listener)
		return false;
	listener->shard = shard;
	listener->inherited = strcmp(inherited, "inherited") == 0;
	return true;
}

/* Keeps fd for what the line says that it is. */
static bool take_line(struct take_over *take_over, const char *line, int fd,
		      struct failure *failure)
{
	static const char listen[] = "listen ";
	const struct place {
		const char *word;
		int *fd;
	} places[] = {
		{ "pidfile", &take_over->pidfile },
		{ "control", &take_over->control },
		{ "notify", &take_over->notify },
	};

	if (fd < 0)
		return true;
	if (strncmp(line, listen, strlen(listen)) == 0)
		return take_listener(take_over, line + strlen(listen), fd, failure);
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
static bool cannot_ask(const struct take_over *take_over, const char *path, struct failure *failure)
{
	if (errno == EAGAIN)
		return failure_set(failure, EXIT_NOT_STARTED,
				   "cannot ask the daemon of pid file %s: no answer", path);
	errno = take_over->pidfile < 0 ? EACCES : ECONNRESET;
	return failure_set_errno(failure, "cannot ask the daemon of pid file %s", path);
}

static bool was_refused(const char *reply, const char *path, struct failure *failure)
{
	char reason[TAKE_OVER_LINE_SIZE];

	control_message_read_reply(reply, reason, sizeof(reason));
	return failure_set(failure, EXIT_NOT_STARTED, "the daemon of pid file %s %s", path, reason);
}

static bool receive_all(struct take_over *take_over, const char *path, struct failure *failure)
{
	unsigned microseconds = 0;
	char line[TAKE_OVER_LINE_SIZE], number[16];
	int fd;

	do {
		if (!receive_line(take_over->fd, line, &fd))
			return cannot_ask(take_over, path, failure);
		if (line[0] == '{')
			return was_refused(line, path, failure);
		if (!take_line(take_over, line, fd, failure))
			return false;
	} while (sscanf(line, "end %15s", number) != 1);
	text_to_number(number, 0, UINT_MAX, &microseconds);
	take_over->watchdog = microseconds * INT64_C(1000);
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

void take_over_clear(struct take_over *take_over)
{
	*take_over = (struct take_over){ .fd = -1, .pidfile = -1, .control = -1, .notify = -1 };
}

bool take_over_request(struct take_over *take_over, const char *path, struct failure *failure)
{
	const char *request = control_message_command(CONTROL_COMMAND_UPGRADE);
	bool in_sight = is_in_sight(path);

	take_over->fd = control_connect(path, PATIENCE_SECONDS, failure);
	if (take_over->fd < 0)
		return false;
	if (send(take_over->fd, request, strlen(request), MSG_NOSIGNAL) < 0)
		return cannot_ask(take_over, path, failure);
	if (!receive_all(take_over, path, failure))
		return false;
	if (take_over->notify >= 0 && !in_sight)
		return failure_set(failure, EXIT_NOT_STARTED,
				   "the daemon of pid file %s has a service manager: have that one"
				   " reload it",
				   path);
	return true;
}

bool take_over_commit(struct take_over *take_over, const char *path, struct failure *failure)
{
	char line[TAKE_OVER_LINE_SIZE];
	int fd;

	if (take_over->fd < 0)
		return true;
	/* One that is no more leaves no word why this process could not have its place. */
	if (send(take_over->fd, TAKE_OVER_COMPLETE, strlen(TAKE_OVER_COMPLETE),
		 MSG_NOSIGNAL | MSG_DONTWAIT) < 0 &&
	    receive_line(take_over->fd, line, &fd))
		return was_refused(line, path, failure);
	take_over_close(take_over);
	return true;
}

static void close_one(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void take_over_close(struct take_over *take_over)
{
	close_one(&take_over->fd);
	close_one(&take_over->pidfile);
	close_one(&take_over->control);
	close_one(&take_over->notify);
	listeners_close_unless(&take_over->listeners, NULL);
}
