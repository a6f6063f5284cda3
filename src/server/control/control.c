#include "server/control/control.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/fd.h"
#include "clock/clock.h"
#include "server/process/event.h"

/* Descriptors or memory have run out: how long to wait before the next accept. */
#define RETRY_DELAY CLOCK_SECOND

/* For /run/timeserver/timeserver.pid: /run/timeserver/timeserver.sock. */
static bool control_path(const char *pidfile, char path[static PATH_MAX])
{
	size_t length = strlen(pidfile);

	if (length > 4 && strcmp(pidfile + length - 4, ".pid") == 0)
		length -= 4;
	return snprintf(path, PATH_MAX, "%.*s.sock", (int)length, pidfile) < PATH_MAX;
}

/* Makes the address of path. sun_path has 108 bytes: a longer path goes through a descriptor of its
 * directory. Returns that descriptor, to be closed after use; -1: none. */
static int control_address(const char *path, struct sockaddr_un *address)
{
	const char *name = strrchr(path, '/');
	char directory[PATH_MAX];
	int fd;

	*address = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (!name || strlen(path) < sizeof(address->sun_path)) {
		snprintf(address->sun_path, sizeof(address->sun_path), "%s", path);
		return -1;
	}
	snprintf(directory, sizeof(directory), "%.*s", (int)(name - path + 1), path);
	fd = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
	snprintf(address->sun_path, sizeof(address->sun_path), "/proc/self/fd/%d%s", fd, name);
	return fd;
}

/* Calls bind(2) or connect(2) with the address of path. */
static bool control_call(int (*call)(int, const struct sockaddr *, socklen_t), int fd,
			 const char *path)
{
	struct sockaddr_un address;
	int directory = control_address(path, &address);
	bool done = call(fd, (struct sockaddr *)&address, sizeof(address)) == 0;
	int error = errno;

	fd_close(&directory);
	errno = error;
	return done;
}

static void remove_stale(const char *path)
{
	struct stat status;

	if (lstat(path, &status) == 0 && S_ISSOCK(status.st_mode))
		unlink(path);
}

void control_clear(struct control *control)
{
	*control = (struct control){ .fd = -1, .retry_at = INT64_MAX };
	for (unsigned peer = 0; peer < CONTROL_PEERS; peer++)
		control->peers[peer] = -1;
}

/* Records which file the socket has, for control_close. */
static bool note_file(struct control *control)
{
	struct stat status;

	if (lstat(control->path, &status) < 0)
		return false;
	control->device = status.st_dev;
	control->inode = status.st_ino;
	return true;
}

bool control_open(struct control *control, const char *pidfile, struct failure *failure)
{
	control->owned = true;
	control->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (control->fd < 0)
		return failure_set_errno(failure, "cannot open the control socket");
	if (!control_path(pidfile, control->path))
		control->path[0] = '\0';
	remove_stale(control->path);
	/* Before bind, so that the file never has another mode. */
	if (fchmod(control->fd, 0600) == 0 && control_call(bind, control->fd, control->path) &&
	    listen(control->fd, CONTROL_PEERS) == 0 && note_file(control))
		return true;
	failure_set_errno(failure, "cannot create control socket %s", control->path);
	remove_stale(control->path);
	fd_close(&control->fd);
	return false;
}

bool control_take_over(struct control *control, int fd, const char *pidfile,
		       struct failure *failure)
{
	int listens = 0;
	socklen_t size = sizeof(listens);

	control->fd = fd;
	control->owned = false;
	if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) == 0 && listens &&
	    control_path(pidfile, control->path) && note_file(control))
		return true;
	return failure_set(failure, EXIT_NOT_STARTED,
			   "control socket of pid file %s: is not the daemon's", pidfile);
}

void control_chown(const struct control *control, uid_t uid, gid_t gid)
{
	if (lchown(control->path, uid, gid) < 0)
		return; /* then only root can connect */
}

void control_drop(struct control *control, unsigned peer)
{
	fd_close(&control->peers[peer]);
}

static bool watch(const struct control *control, int fd, uint32_t index)
{
	return event_add_fd(control->epoll, fd, event_tag(EVENT_CONTROL, index));
}

bool control_start(struct control *control, int epoll)
{
	control->epoll = epoll;
	return control_resume(control);
}

bool control_resume(struct control *control)
{
	control->accepting = watch(control, control->fd, CONTROL_PEERS);
	control->retry_at = control->accepting ? INT64_MAX : clock_monotonic() + RETRY_DELAY;
	return control->accepting;
}

void control_pause(struct control *control)
{
	if (control->accepting)
		epoll_ctl(control->epoll, EPOLL_CTL_DEL, control->fd, NULL);
	control->accepting = false;
	control->retry_at = INT64_MAX;
}

int64_t control_tick(struct control *control, int64_t now)
{
	if (control->retry_at <= now)
		control_resume(control);
	return control->retry_at;
}

static bool is_allowed(int fd)
{
	struct ucred peer = { .uid = (uid_t)-1 };
	socklen_t size = sizeof(peer);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 &&
	       (peer.uid == 0 || peer.uid == geteuid());
}

static void accept_failed(struct control *control)
{
	if (errno != EMFILE && errno != ENFILE && errno != ENOBUFS && errno != ENOMEM)
		return;
	log_limited(&control->shortages, LOG_WARNING,
		    "control socket: accept failed, retrying in 1 s: %m");
	control_pause(control);
	control->retry_at = clock_monotonic() + RETRY_DELAY;
}

void control_accept(struct control *control)
{
	int fd;

	if (!control->accepting) /* paused by an earlier event of the same epoll_wait */
		return;
	fd = accept4(control->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd < 0) {
		accept_failed(control);
		return;
	}
	if (!is_allowed(fd)) {
		close(fd);
		return;
	}
	control->last_peer = (control->last_peer + 1) % CONTROL_PEERS;
	control_drop(control, control->last_peer);
	control->peers[control->last_peer] = fd;
	if (!watch(control, fd, control->last_peer))
		control_drop(control, control->last_peer);
}

pid_t control_peer_process(const struct control *control, unsigned peer)
{
	struct ucred credentials = { 0 };
	socklen_t size = sizeof(credentials);

	getsockopt(control->peers[peer], SOL_SOCKET, SO_PEERCRED, &credentials, &size);
	return credentials.pid;
}

bool control_receive(struct control *control, unsigned peer, char *request, size_t size)
{
	ssize_t length;

	if (control->peers[peer] < 0)
		return false;
	length = recv(control->peers[peer], request, size - 1, MSG_DONTWAIT);
	if (length < 0 && errno == EAGAIN)
		return false;
	if (length <= 0) {
		control_drop(control, peer);
		return false;
	}
	request[length] = '\0';
	return true;
}

void control_reply(struct control *control, unsigned peer, const char *reply)
{
	/* A peer that has gone or does not read loses its reply. */
	(void)!send(control->peers[peer], reply, strlen(reply), MSG_DONTWAIT | MSG_NOSIGNAL);
	control_drop(control, peer);
}

void control_close(struct control *control)
{
	struct stat status;

	if (control->fd < 0)
		return;
	for (unsigned peer = 0; peer < CONTROL_PEERS; peer++)
		control_drop(control, peer);
	fd_close(&control->fd);
	/* If our pid file was removed, the file may belong to another daemon by now. */
	if (control->owned && lstat(control->path, &status) == 0 &&
	    status.st_dev == control->device && status.st_ino == control->inode)
		unlink(control->path);
}

/* Whether the daemon closed the connection without a reply: this user is not allowed. */
static bool is_refused(ssize_t length)
{
	return length == 0 || (length < 0 && (errno == EPIPE || errno == ECONNRESET));
}

/* Connects. Sets path also where that fails; then returns -1, with errno. */
static int connect_to(const char *pidfile, int seconds, char path[static PATH_MAX])
{
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0), error;
	struct timeval timeout = { .tv_sec = seconds };

	if (fd >= 0 && control_path(pidfile, path) &&
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) == 0 &&
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout)) == 0 &&
	    control_call(connect, fd, path))
		return fd;
	error = errno;
	fd_close(&fd);
	errno = error;
	return -1;
}

static void connection_failed(const char *path, struct failure *failure)
{
	if (errno == EAGAIN)
		failure_set(failure, EXIT_NOT_STARTED, "control socket %s: no reply", path);
	else
		failure_set_errno(failure, "control socket %s", path);
}

int control_connect(const char *pidfile, int seconds, struct failure *failure)
{
	char path[PATH_MAX] = "";
	int fd = connect_to(pidfile, seconds, path);

	if (fd < 0)
		connection_failed(path, failure);
	return fd;
}

/* Returns the reply, to be freed; NULL, with errno, if there is none. */
static char *send_request(int fd, const char *request)
{
	char *reply = malloc(CONTROL_REPLY_MAX);
	ssize_t length = reply ? send(fd, request, strlen(request), MSG_NOSIGNAL) : -1;

	if (length > 0)
		length = recv(fd, reply, CONTROL_REPLY_MAX - 1, 0);
	if (reply && is_refused(length))
		errno = EACCES;
	if (length <= 0) {
		free(reply);
		return NULL;
	}
	reply[length] = '\0';
	return reply;
}

char *control_request(const char *pidfile, const char *request, int seconds,
		      struct failure *failure)
{
	char path[PATH_MAX] = "";
	int fd = connect_to(pidfile, seconds, path);
	char *reply = fd >= 0 ? send_request(fd, request) : NULL;

	if (!reply)
		connection_failed(path, failure);
	fd_close(&fd);
	return reply;
}
