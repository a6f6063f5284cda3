#include "server/control/control.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "server/program.h"

/* "/run/timeserver/timeserver.pid" has "/run/timeserver/timeserver.sock". */
static bool control_path(const char *pidfile, char path[static PATH_MAX])
{
	size_t length = strlen(pidfile);

	if (length > 4 && strcmp(pidfile + length - 4, ".pid") == 0)
		length -= 4;
	return snprintf(path, PATH_MAX, "%.*s.sock", (int)length, pidfile) < PATH_MAX;
}

/* A socket's address holds some hundred bytes only. A longer path is reached through a descriptor
 * of its directory, which is returned, to be closed once the address was used; -1: there is none to
 * close. */
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

/* Does call, bind(2) or connect(2), to the socket at path. */
static bool control_call(int (*call)(int, const struct sockaddr *, socklen_t), int fd,
			 const char *path)
{
	struct sockaddr_un address;
	int directory = control_address(path, &address);
	bool done = call(fd, (struct sockaddr *)&address, sizeof(address)) == 0;
	int error = errno;

	if (directory >= 0)
		close(directory);
	errno = error;
	return done;
}

static void remove_left_over(const char *path)
{
	struct stat status;

	if (lstat(path, &status) == 0 && S_ISSOCK(status.st_mode))
		unlink(path);
}

void control_clear(struct control *control)
{
	control->fd = -1;
	for (unsigned peer = 0; peer < CONTROL_PEERS; peer++)
		control->peers[peer] = -1;
}

/* Remembers which file the socket has. */
static bool control_note_file(struct control *control)
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
	control->lent = false;
	control->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (control->fd < 0)
		return failure_set_errno(failure, "cannot open the control socket");
	if (!control_path(pidfile, control->path))
		control->path[0] = '\0';
	remove_left_over(control->path);
	/* The mode is set on the socket first: then the file is never anybody's, even for a
	 * moment. */
	if (fchmod(control->fd, 0600) == 0 && control_call(bind, control->fd, control->path) &&
	    listen(control->fd, CONTROL_PEERS) == 0 && control_note_file(control))
		return true;
	failure_set_errno(failure, "cannot create control socket %s", control->path);
	remove_left_over(control->path);
	close(control->fd);
	control->fd = -1;
	return false;
}

bool control_borrow(struct control *control, int fd, const char *pidfile, struct failure *failure)
{
	int listens = 0;
	socklen_t size = sizeof(listens);

	control->fd = fd;
	control->lent = true;
	if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) == 0 && listens &&
	    control_path(pidfile, control->path) && control_note_file(control))
		return true;
	return failure_set(failure, EXIT_NOT_STARTED,
			   "control socket of pid file %s: is not the daemon's", pidfile);
}

void control_chown(const struct control *control, uid_t uid, gid_t gid)
{
	if (lchown(control->path, uid, gid) < 0)
		return; /* then root alone can ask */
}

void control_drop(struct control *control, unsigned peer)
{
	if (control->peers[peer] >= 0)
		close(control->peers[peer]);
	control->peers[peer] = -1;
}

int control_accept(struct control *control, bool *short_of)
{
	struct ucred peer = { .uid = (uid_t)-1 };
	socklen_t size = sizeof(peer);
	int fd = accept4(control->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	*short_of = fd < 0 &&
		    (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM);
	if (fd < 0)
		return -1;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0 ||
	    (peer.uid != 0 && peer.uid != geteuid())) {
		close(fd);
		return -1;
	}
	control->newest = (control->newest + 1) % CONTROL_PEERS;
	control_drop(control, control->newest);
	control->peers[control->newest] = fd;
	return (int)control->newest;
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
	ssize_t length = recv(control->peers[peer], request, size - 1, MSG_DONTWAIT);

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
	/* If the peer does not wait for it, it does not want to know. */
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
	close(control->fd);
	control->fd = -1;
	if (control->lent)
		return;
	/* What stands there may be a later daemon's, if our pid file was taken away from us. */
	if (lstat(control->path, &status) == 0 && status.st_dev == control->device &&
	    status.st_ino == control->inode)
		unlink(control->path);
}

/* Whether the daemon has hung up without a word: it does not talk to us. */
static bool was_refused(ssize_t length)
{
	return length == 0 || (length < 0 && (errno == EPIPE || errno == ECONNRESET));
}

/* Connects; where that fails path is still what was tried. */
static int connect_to(const char *pidfile, int seconds, char path[static PATH_MAX])
{
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0), error;
	struct timeval patience = { .tv_sec = seconds };

	if (fd >= 0 && control_path(pidfile, path) &&
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) == 0 &&
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) == 0 &&
	    control_call(connect, fd, path))
		return fd;
	error = errno;
	if (fd >= 0)
		close(fd);
	errno = error;
	return -1;
}

static void cannot_ask(const char *path, struct failure *failure)
{
	if (errno == EAGAIN)
		failure_set(failure, EXIT_NOT_STARTED, "cannot ask at %s: no answer", path);
	else
		failure_set_errno(failure, "cannot ask at %s", path);
}

int control_connect(const char *pidfile, int seconds, struct failure *failure)
{
	char path[PATH_MAX] = "";
	int fd = connect_to(pidfile, seconds, path);

	if (fd < 0)
		cannot_ask(path, failure);
	return fd;
}

/* Returns the reply in memory of CONTROL_REPLY_MAX bytes; NULL, with errno, if there was none. */
static char *exchange(int fd, const char *request)
{
	char *reply = malloc(CONTROL_REPLY_MAX);
	ssize_t length = reply ? send(fd, request, strlen(request), MSG_NOSIGNAL) : -1;

	if (length > 0)
		length = recv(fd, reply, CONTROL_REPLY_MAX - 1, 0);
	if (reply && was_refused(length))
		errno = EACCES;
	if (length <= 0) {
		free(reply);
		return NULL;
	}
	reply[length] = '\0';
	return reply;
}

char *control_ask(const char *pidfile, const char *request, int seconds, struct failure *failure)
{
	char path[PATH_MAX] = "";
	int fd = connect_to(pidfile, seconds, path);
	char *reply = fd >= 0 ? exchange(fd, request) : NULL;

	if (!reply)
		cannot_ask(path, failure);
	if (fd >= 0)
		close(fd);
	return reply;
}
