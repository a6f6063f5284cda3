#include "server/control/control.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "clock/clock.h"
#include "server/control/control_path.h"
#include "server/process/event.h"

/* Descriptors or memory have run out: how long to wait before the next accept. */
#define RETRY_DELAY CLOCK_SECOND

#define CHECK_INTERVAL (2 * CLOCK_SECOND)

/* Whether errno says that descriptors or memory have run out, which may pass. */
static bool is_shortage(void)
{
	return errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM;
}

/* Removes a socket without a listener. Others belong to a running program, of any kind. */
static void remove_stale(const char *path)
{
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct stat status;

	if (fd >= 0 && lstat(path, &status) == 0 && S_ISSOCK(status.st_mode) &&
	    !control_path_call(connect, fd, path, false) && errno == ECONNREFUSED)
		unlink(path);
	fd_close(&fd);
}

void control_clear(struct control *control)
{
	*control = (struct control){ .fd = -1, .retry_at = INT64_MAX };
	for (unsigned peer = 0; peer < CONTROL_PEERS; peer++)
		control->peers[peer] = -1;
}

/* Records which file the socket has. */
static bool note_file(struct control *control)
{
	struct stat status;

	if (lstat(control->path, &status) < 0)
		return false;
	control->device = status.st_dev;
	control->inode = status.st_ino;
	return true;
}

/* Whether the socket's file is there; not that of another daemon, if our pid file was removed. */
static bool has_file(const struct control *control)
{
	struct stat status;

	return lstat(control->path, &status) == 0 && status.st_dev == control->device &&
	       status.st_ino == control->inode;
}

/* Binds a new socket and listens. The file never has another mode than 0600: by the umask, which
 * the default ACL of a directory overrides, and by fchmod, which the sandbox refuses. Returns -1
 * with errno. */
static int open_socket(const char *path, bool abstract)
{
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), error;
	mode_t mask = umask(0177);
	bool opened;

	if (fd >= 0)
		fchmod(fd, 0600);
	opened = fd >= 0 && control_path_call(bind, fd, path, abstract) &&
		 listen(fd, CONTROL_PEERS) == 0;
	error = errno;
	umask(mask);
	if (!opened)
		fd_close(&fd);
	errno = error;
	return fd;
}

bool control_open(struct control *control, const char *pidfile, struct failure *failure)
{
	control->owned = true;
	if (!control_path(pidfile, control->path))
		control->path[0] = '\0';
	remove_stale(control->path);
	control->fd = open_socket(control->path, false);
	if (control->fd >= 0 && note_file(control))
		return true;
	failure_set_errno(failure, "cannot create control socket %s", control->path);
	fd_close(&control->fd);
	remove_stale(control->path);
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
	    control_path(pidfile, control->path)) {
		note_file(control); /* if it is missing, control_tick creates it */
		return true;
	}
	return failure_set(failure, EXIT_NOT_STARTED,
			   "control socket of pid file %s: is not the daemon's", pidfile);
}

/* By descriptor, since others may be able to write to the directory: they could put a link to
 * another file in the place of the socket. */
void control_chown(const struct control *control, uid_t uid, gid_t gid)
{
	int fd = open(control->path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	struct stat status;

	if (fd >= 0 && fstat(fd, &status) == 0 && S_ISSOCK(status.st_mode) &&
	    status.st_uid == geteuid() && status.st_nlink == 1 &&
	    fchownat(fd, "", uid, gid, AT_EMPTY_PATH) < 0)
		log_write(LOG_DEBUG, "control socket %s: only root can connect: %m", control->path);
	fd_close(&fd);
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
	return control->fd < 0 || control_resume(control);
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

/* Listens at another socket from now on. */
static void replace_socket(struct control *control, int fd)
{
	control_pause(control);
	close(control->fd);
	control->fd = fd;
	control_resume(control);
}

void control_restore(struct control *control)
{
	int fd;

	if (control->fd < 0 || !control->owned || has_file(control))
		return;
	remove_stale(control->path);
	fd = open_socket(control->path, false);
	if (fd >= 0) {
		replace_socket(control, fd);
		note_file(control);
		control->abstract = false;
		log_write(LOG_WARNING, "control socket %s was removed: created again",
			  control->path);
	} else if (!control->abstract && !is_shortage()) {
		log_write(LOG_WARNING, "control socket %s was removed: using its abstract name: %m",
			  control->path);
		fd = open_socket(control->path, true);
		control->abstract = true; /* also if that fails, so that it is logged once */
		if (fd >= 0)
			replace_socket(control, fd);
	}
}

int64_t control_tick(struct control *control, int64_t now)
{
	if (control->fd < 0)
		return INT64_MAX;
	if (control->check_at <= now) {
		control_restore(control);
		control->check_at = now + CHECK_INTERVAL;
	}
	if (control->retry_at <= now)
		control_resume(control);
	return clock_earlier(control->retry_at, control->check_at);
}

void control_own(struct control *control)
{
	control->owned = true;
	if (control->fd >= 0 && listen(control->fd, CONTROL_PEERS) < 0)
		return; /* then peers see the process ID of the predecessor */
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
	if (!is_shortage())
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
	if (control->fd < 0)
		return;
	for (unsigned peer = 0; peer < CONTROL_PEERS; peer++)
		control_drop(control, peer);
	/* While the socket is open no other file has its inode, and no other daemon replaces it. */
	if (control->owned && has_file(control))
		unlink(control->path);
	fd_close(&control->fd);
}
