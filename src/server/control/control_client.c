#include "server/control/control_client.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/fd.h"
#include "server/control/control.h"
#include "server/control/control_path.h"
#include "server/process/pidfile.h"

static bool peer_of(int fd, struct ucred *peer)
{
	socklen_t size = sizeof(*peer);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, peer, &size) == 0;
}

/* Any user can take an abstract name, or a name in /tmp, so the listener is asked who it is: a
 * trusted user, or the process that holds the pid file. */
static bool is_daemon(const struct control_daemon *daemon, int fd)
{
	struct ucred peer;

	return peer_of(fd, &peer) && (pidfile_trusts(daemon->pidfile, peer.uid, daemon->user) ||
				      (daemon->process > 0 && peer.pid == daemon->process));
}

/* Returns the connection; -1 with errno, which is EPERM if another user listens. */
static int connect_by(const struct control_daemon *daemon, int seconds, const char *path,
		      bool abstract)
{
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0), error;
	struct timeval timeout = { .tv_sec = seconds };

	if (fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) == 0 &&
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout)) == 0 &&
	    control_path_call(connect, fd, path, abstract)) {
		if (is_daemon(daemon, fd))
			return fd;
		errno = EPERM;
	}
	error = errno;
	fd_close(&fd);
	errno = error;
	return -1;
}

/* Connects. Sets path also where that fails; then returns -1, with errno. */
static int connect_to(const struct control_daemon *daemon, int seconds, char path[static PATH_MAX])
{
	int fd, error;

	if (!control_path(daemon->pidfile, path))
		return -1;
	fd = connect_by(daemon, seconds, path, false);
	if (fd >= 0 || errno == EAGAIN || errno == EACCES)
		return fd;
	error = errno;
	fd = connect_by(daemon, seconds, path, true);
	errno = error;
	return fd;
}

static bool of_another_user(const char *path, struct failure *failure)
{
	return failure_set(failure, EXIT_PERMISSION, "control socket %s: belongs to another user",
			   path);
}

static void connection_failed(const char *path, struct failure *failure)
{
	if (errno == EAGAIN)
		failure_set(failure, EXIT_NOT_STARTED, "control socket %s: no reply", path);
	else if (errno == ECONNRESET)
		failure_set(failure, EXIT_NOT_STARTED,
			    "control socket %s: stopping, or being replaced", path);
	else if (errno == EPERM)
		of_another_user(path, failure);
	else
		failure_set_errno(failure, "control socket %s", path);
}

/* The process that listens; PIDFILE_FREE, with errno, if none does. */
static pid_t find_listener(const struct control_daemon *daemon, char path[static PATH_MAX])
{
	struct ucred peer = { 0 };
	int fd = connect_to(daemon, 1, path);

	if (fd < 0)
		return PIDFILE_FREE;
	peer_of(fd, &peer);
	close(fd);
	return peer.pid != 0 ? peer.pid : PIDFILE_UNSEEN;
}

bool control_find(struct control_daemon *daemon, struct failure *failure)
{
	char path[PATH_MAX] = "";

	errno = 0;
	daemon->process = pidfile_holder(daemon->pidfile, daemon->user);
	if (daemon->process == PIDFILE_FREE)
		daemon->process = find_listener(daemon, path);
	if (daemon->process == PIDFILE_FREE && errno == EACCES)
		return failure_set_errno(failure, "control socket %s", path);
	if (daemon->process == PIDFILE_FREE && errno == EPERM)
		return of_another_user(path, failure);
	if (daemon->process == PIDFILE_FREE || daemon->process == PIDFILE_STARTING)
		return failure_set(failure, EXIT_NOT_STARTED,
				   daemon->process == PIDFILE_FREE ?
					   "not running (pid file %s)" :
					   "starting, or being replaced (pid file %s)",
				   daemon->pidfile);
	return true;
}

int control_connect(const struct control_daemon *daemon, int seconds, struct failure *failure)
{
	char path[PATH_MAX] = "";
	int fd = connect_to(daemon, seconds, path);
	struct ucred peer;

	/* Another one may have taken over since the search. */
	if (fd >= 0 && (!peer_of(fd, &peer) || peer.pid != daemon->process)) {
		fd_close(&fd);
		errno = ECONNRESET;
	}
	if (fd < 0)
		connection_failed(path, failure);
	return fd;
}

/* Whether the daemon closed the connection without a reply. */
static bool is_closed(ssize_t length)
{
	return length == 0 || (length < 0 && (errno == EPIPE || errno == ECONNRESET));
}

/* Returns the reply, to be freed; NULL, with errno, if there is none. */
static char *send_request(int fd, const char *request)
{
	char *reply = malloc(CONTROL_REPLY_MAX);
	ssize_t length = reply ? send(fd, request, strlen(request), MSG_NOSIGNAL) : -1;

	if (length > 0)
		length = recv(fd, reply, CONTROL_REPLY_MAX - 1, 0);
	/* It does so to users who are not allowed, and when it ends. */
	if (reply && is_closed(length))
		errno = geteuid() == 0 ? ECONNRESET : EACCES;
	if (length <= 0) {
		free(reply);
		return NULL;
	}
	reply[length] = '\0';
	return reply;
}

char *control_request(const struct control_daemon *daemon, const char *request, int seconds,
		      struct failure *failure)
{
	char path[PATH_MAX] = "";
	int fd = connect_to(daemon, seconds, path);
	char *reply = fd >= 0 ? send_request(fd, request) : NULL;

	if (!reply)
		connection_failed(path, failure);
	fd_close(&fd);
	return reply;
}
