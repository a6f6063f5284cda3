#include "server/process/pidfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"

#define ROOT_DIRECTORY "/run/timeserver"

/* pidfile_holder waits up to two seconds for the PID lock. */
#define POLL_TRIES 200
static const struct timespec poll_delay = { .tv_nsec = 10000000 };

/* The only directory that this program creates and chowns. */
static void default_directory(char *directory, size_t size)
{
	const char *runtime = getenv("XDG_RUNTIME_DIR");

	if (geteuid() == 0)
		snprintf(directory, size, "%s", ROOT_DIRECTORY);
	else if (runtime && runtime[0] == '/')
		snprintf(directory, size, "%s/timeserver", runtime);
	else
		snprintf(directory, size, "/tmp/timeserver-%u", geteuid());
}

void pidfile_default_path(char path[static PATH_MAX])
{
	char directory[PATH_MAX - sizeof("/timeserver.pid")];

	default_directory(directory, sizeof(directory));
	snprintf(path, PATH_MAX, "%s/timeserver.pid", directory);
}

static bool is_in_default_directory(const char *path, char *directory, size_t size)
{
	size_t length;

	default_directory(directory, size);
	length = strlen(directory);
	return strncmp(path, directory, length) == 0 && path[length] == '/' &&
	       !strchr(path + length + 1, '/');
}

/* Other users can write to /tmp: a directory there is used only if it is provably our own. */
static bool make_directory(const char *directory, struct failure *failure)
{
	struct stat status;
	mode_t mode = geteuid() == 0 ? 0755 : 0700;

	if (mkdir(directory, mode) < 0 && errno != EEXIST)
		return failure_set_errno(failure, "cannot create directory %s", directory);
	if (lstat(directory, &status) < 0)
		return failure_set_errno(failure, "cannot use directory %s", directory);
	if (!S_ISDIR(status.st_mode))
		return failure_set(failure, EXIT_NOT_STARTED, "%s: is not a directory", directory);
	if (geteuid() != 0 && (status.st_uid != geteuid() || (status.st_mode & 022) != 0))
		return failure_set(failure, EXIT_PERMISSION, "%s: is writable by other users",
				   directory);
	return true;
}

/* Why the file must not be written to; NULL: it may be. */
static const char *why_unsafe(const struct stat *status)
{
	if (S_ISLNK(status->st_mode))
		return "is a symbolic link";
	if (S_ISDIR(status->st_mode))
		return "is a directory";
	if (!S_ISREG(status->st_mode))
		return "is not a regular file";
	if (status->st_nlink > 1)
		return "has more than one hard link";
	if (status->st_uid != geteuid() && status->st_uid != 0)
		return "belongs to another user";
	return NULL;
}

/* Opens the file without following a link or blocking on a FIFO planted in its place. Checked
 * before the open, so that nothing unsafe is opened, and after it, against a race. */
static int open_file(const char *path, struct failure *failure)
{
	struct stat status;
	const char *reason = NULL;
	int fd;

	if (lstat(path, &status) == 0 && (reason = why_unsafe(&status)) != NULL) {
		failure_set(failure, EXIT_NOT_STARTED, "pid file %s: %s", path, reason);
		return -1;
	}
	fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0644);
	if (fd < 0) {
		failure_set_errno(failure, "cannot create pid file %s", path);
		return -1;
	}
	if (fstat(fd, &status) < 0)
		failure_set_errno(failure, "cannot use pid file %s", path);
	else if ((reason = why_unsafe(&status)) != NULL)
		failure_set(failure, EXIT_NOT_STARTED, "pid file %s: %s", path, reason);
	else
		return fd;
	close(fd);
	return -1;
}

/* Locks on two bytes of the file. The file lock belongs to the open file description: an upgrade
 * passes it on with the descriptor, so it is never free in between. The PID lock belongs to a
 * process and tells others which one. */
enum lock { PID_LOCK, FILE_LOCK };

static bool lock(int fd, enum lock which, short type)
{
	struct flock lock = {
		.l_type = type,
		.l_whence = SEEK_SET,
		.l_start = which,
		.l_len = 1,
	};

	return fcntl(fd, which == FILE_LOCK ? F_OFD_SETLK : F_SETLK, &lock) == 0;
}

/* The holder of a lock: a process, -1 for an open file description, 0 for none. */
static pid_t lock_holder(int fd, enum lock which)
{
	struct flock lock = {
		.l_type = F_WRLCK,
		.l_whence = SEEK_SET,
		.l_start = which,
		.l_len = 1,
	};

	if (fcntl(fd, F_GETLK, &lock) < 0 || lock.l_type == F_UNLCK)
		return 0;
	return lock.l_pid;
}

static bool lock_file(int fd, const char *path, struct failure *failure)
{
	pid_t holder;

	if (lock(fd, FILE_LOCK, F_WRLCK) && lock(fd, PID_LOCK, F_WRLCK))
		return true;
	if (errno != EAGAIN && errno != EACCES)
		return failure_set_errno(failure, "cannot lock pid file %s", path);
	holder = lock_holder(fd, PID_LOCK);
	if (holder == 0)
		return failure_set(failure, EXIT_NOT_STARTED, "already starting (pid file %s)",
				   path);
	return failure_set(failure, EXIT_NOT_STARTED,
			   "already running as process %ld (pid file %s)", (long)holder, path);
}

/* Whether path still names the locked file: the previous holder may have removed it meanwhile. */
static bool is_current(int fd, const char *path)
{
	struct stat opened, named;

	return fstat(fd, &opened) == 0 && lstat(path, &named) == 0 &&
	       opened.st_dev == named.st_dev && opened.st_ino == named.st_ino;
}

static bool write_process(const struct pidfile *pidfile, struct failure *failure)
{
	char text[32];
	int length = snprintf(text, sizeof(text), "%ld\n", (long)getpid());

	if (ftruncate(pidfile->fd, 0) == 0 &&
	    pwrite(pidfile->fd, text, (size_t)length, 0) == length)
		return true;
	return failure_set_errno(failure, "cannot write pid file %s", pidfile->path);
}

bool pidfile_take(struct pidfile *pidfile, const char *path, struct failure *failure)
{
	char directory[PATH_MAX];
	int fd;

	*pidfile = (struct pidfile){ .fd = -1, .owned = true };
	if (is_in_default_directory(path, directory, sizeof(directory)) &&
	    !make_directory(directory, failure))
		return false;
	for (;;) {
		fd = open_file(path, failure);
		if (fd < 0)
			return false;
		if (!lock_file(fd, path, failure)) {
			close(fd);
			return false;
		}
		if (is_current(fd, path))
			break;
		close(fd);
	}
	pidfile->fd = fd;
	snprintf(pidfile->path, sizeof(pidfile->path), "%s", path);
	if (write_process(pidfile, failure)) {
		log_write(LOG_DEBUG, "holding pid file %s", path);
		return true;
	}
	pidfile_release(pidfile);
	return false;
}

void pidfile_hand_over(struct pidfile *pidfile)
{
	pidfile->owned = false;
	lock(pidfile->fd, PID_LOCK, F_UNLCK);
}

bool pidfile_relock(struct pidfile *pidfile, struct failure *failure)
{
	pidfile->owned =
		lock_file(pidfile->fd, pidfile->path, failure) && write_process(pidfile, failure);
	return pidfile->owned;
}

pid_t pidfile_successor(const struct pidfile *pidfile)
{
	return lock_holder(pidfile->fd, PID_LOCK);
}

bool pidfile_take_over(struct pidfile *pidfile, int fd, const char *path, struct failure *failure)
{
	*pidfile = (struct pidfile){ .fd = fd };
	snprintf(pidfile->path, sizeof(pidfile->path), "%s", path);
	if (fd < 0 || !is_current(fd, path))
		return failure_set(failure, EXIT_NOT_STARTED, "pid file %s: is not the daemon's",
				   path);
	return lock_file(fd, path, failure) && write_process(pidfile, failure);
}

void pidfile_chown(const struct pidfile *pidfile, uid_t uid, gid_t gid)
{
	char directory[PATH_MAX];

	if (!is_in_default_directory(pidfile->path, directory, sizeof(directory)))
		return;
	if (lchown(directory, uid, gid) < 0)
		return; /* then pidfile_release empties the file instead of removing it */
}

void pidfile_release(struct pidfile *pidfile)
{
	if (pidfile->fd < 0)
		return;
	/* If the file was removed, the one at path now belongs to another process. */
	if (pidfile->owned &&
	    (!is_current(pidfile->fd, pidfile->path) || unlink(pidfile->path) < 0) &&
	    ftruncate(pidfile->fd, 0) < 0)
		log_write(LOG_WARNING, "pid file %s: %m", pidfile->path);
	fd_close(&pidfile->fd);
}

pid_t pidfile_holder(const char *path)
{
	int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	pid_t holder = 0;

	if (fd < 0)
		return 0;
	/* A daemon that starts or takes over has the file lock before the PID lock. */
	for (int i = 0; i < POLL_TRIES; i++) {
		holder = lock_holder(fd, PID_LOCK);
		if (holder != 0 || lock_holder(fd, FILE_LOCK) == 0)
			break;
		holder = -1;
		nanosleep(&poll_delay, NULL);
	}
	close(fd);
	return holder;
}
