/* What a daemon hands over, in any order: the input plays the daemon, and take_over_request and
 * take_over_commit are the new process. A line of the input is a message; the letters before its
 * "{" are descriptors that are attached to it. No descriptor may be lost, or stay open at exec. */
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/control/control_path.h"
#include "server/upgrade/take_over.h"
#include "stats/stats.h"

#define MESSAGE_MAX	400 /* more than is received */
#define DESCRIPTORS_MAX 3   /* of a message */
#define FDS		64  /* that are watched */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The daemon: it listens for the whole run, and serves one connection for each input. */
static struct {
	int listener;
	char pidfile[64];
	const uint8_t *data;
	size_t size;
} peer = { .listener = -1 };

static void check(bool holds)
{
	if (!holds)
		abort();
}

/* In the abstract namespace, since there is no directory of this name. */
static void listen_once(void)
{
	char path[PATH_MAX];

	if (peer.listener >= 0)
		return;
	snprintf(peer.pidfile, sizeof(peer.pidfile), "/nonexistent/fuzz-%ld.pid", (long)getpid());
	peer.listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	check(control_path(peer.pidfile, path) &&
	      control_path_call(bind, peer.listener, path, true) && listen(peer.listener, 1) == 0);
}

static int open_tcp(bool listening)
{
	const struct sockaddr_in loopback = { .sin_family = AF_INET,
					      .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	check(bind(fd, (const struct sockaddr *)&loopback, sizeof(loopback)) == 0);
	check(!listening || listen(fd, 1) == 0);
	return fd;
}

static int open_descriptor(uint8_t letter)
{
	switch (letter) {
	case 't':
		return open_tcp(true);
	case 'r': /* it refuses connections */
		return open_tcp(false);
	case 'u':
		return socket(AF_INET6, SOCK_DGRAM, 0);
	case 'x':
		return socket(AF_UNIX, SOCK_STREAM, 0);
	case 'f':
		return open("/dev/null", O_RDONLY);
	default:
		return -1;
	}
}

static bool send_message(int fd, const uint8_t *text, size_t length)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(DESCRIPTORS_MAX * sizeof(int))] = { 0 };
	struct cmsghdr *header = (struct cmsghdr *)control;
	struct msghdr message = { .msg_iovlen = 1, .msg_iov = &(struct iovec){ 0 } };
	int attached[DESCRIPTORS_MAX];
	size_t count = 0;
	bool sent;

	while (length > 0 && *text >= 'a' && *text <= 'z' && count < DESCRIPTORS_MAX) {
		attached[count] = open_descriptor(*text++);
		count += attached[count] >= 0;
		length--;
	}
	*message.msg_iov =
		(struct iovec){ (void *)text, length < MESSAGE_MAX ? length : MESSAGE_MAX };
	if (count > 0) {
		message.msg_control = control;
		message.msg_controllen = CMSG_SPACE(count * sizeof(int));
		header->cmsg_len = CMSG_LEN(count * sizeof(int));
		header->cmsg_level = SOL_SOCKET;
		header->cmsg_type = SCM_RIGHTS;
		memcpy(CMSG_DATA(header), attached, count * sizeof(int));
	}
	sent = sendmsg(fd, &message, MSG_NOSIGNAL) >= 0;
	while (count > 0)
		close(attached[--count]);
	return sent;
}

/* Closes the connection without waiting for the command "serving", as a daemon that has ended. */
static void *serve(void *argument)
{
	int fd = accept4(peer.listener, NULL, NULL, SOCK_CLOEXEC);
	char command[64];
	bool sent = recv(fd, command, sizeof(command), 0) > 0;

	for (size_t at = 0; sent && at < peer.size;) {
		const uint8_t *line = peer.data + at;
		const uint8_t *end = memchr(line, '\n', peer.size - at);
		size_t length = end ? (size_t)(end - line) : peer.size - at;

		sent = send_message(fd, line, length);
		at += length + 1;
	}
	close(fd);
	return argument;
}

/* Which descriptors are open. */
static uint64_t open_fds(void)
{
	uint64_t fds = 0;

	for (int fd = 0; fd < FDS; fd++)
		fds |= (uint64_t)(fcntl(fd, F_GETFD) >= 0) << fd;
	return fds;
}

static bool closes_at_exec(int fd)
{
	return fd < 0 || (fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0;
}

static void check_taken(const struct take_over *take_over)
{
	check(closes_at_exec(take_over->fd) && closes_at_exec(take_over->pidfile) &&
	      closes_at_exec(take_over->control) && closes_at_exec(take_over->notify));
	check(take_over->watchdog >= 0);
	for (size_t i = 0; i < take_over->listeners.count; i++) {
		const struct listener *listener = &take_over->listeners.items[i];

		check(listener->fd >= 0 && closes_at_exec(listener->fd) && listener->protocol &&
		      listener->shard < STATS_WORKERS);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct control_daemon daemon = { .user = geteuid(), .process = getpid() };
	struct take_over take_over;
	struct failure failure = { .text = "" };
	pthread_t thread;
	uint64_t before;
	bool taken;

	listen_once();
	daemon.pidfile = peer.pidfile;
	peer.data = data;
	peer.size = size;
	before = open_fds();
	check(pthread_create(&thread, NULL, serve, NULL) == 0);
	take_over_clear(&take_over);
	taken = take_over_request(&take_over, &daemon, &failure);
	check_taken(&take_over);
	if (taken)
		take_over_commit(&take_over, peer.pidfile, &failure);
	else
		check(failure.text[0] != '\0' && failure.status != EXIT_SERVING);
	take_over_close(&take_over);
	pthread_join(thread, NULL);
	check(open_fds() == before && take_over.listeners.count == 0);
	return 0;
}
