#include "server/process/pidfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/file.h"
#include "base/log.h"
#include "clock/clock.h"
#include "server/process/run_directory.h"

/* pidfile_holder waits up to two seconds for the PID lock. */
#define POLL_TRIES 200
static const struct timespec poll_delay = { .tv_nsec = 10000000 };

#define CHECK_INTERVAL (2 * CLOCK_SECOND)

/* The longest content of a pid file, also one of another program. */
#define TEXT_SIZE 32

void pidfile_clear(struct pidfile *pidfile)
{
	*pidfile = (struct pidfile){ .fd = -1, .directory = -1, .previous = -1 };
}

static bool refuse(const char *path, const char *reason, struct failure *failure)
{
	return failure_set(failure, EXIT_NOT_STARTED, "pid file %s: %s", path, reason);
}

/* Whether the file may be written to. The owner of a directory can replace the files there in any
 * case, so root may use a file of his. A file without a name harms nobody. */
static bool is_safe(const char *path, const struct stat *status, int directory,
		    struct failure *failure)
{
	const char *kind = file_kind(status);
	struct stat parent;

	if (kind)
		return failure_set(failure, EXIT_NOT_STARTED, "pid file %s: is %s", path, kind);
	if (status->st_nlink > 1)
		return refuse(path, "has more than one hard link", failure);
	return status->st_nlink == 0 || status->st_uid == geteuid() || status->st_uid == 0 ||
	       (geteuid() == 0 && fstat(directory, &parent) == 0 &&
		parent.st_uid == status->st_uid) ||
	       refuse(path, "belongs to another user", failure);
}

/* Whether the content is that of a pid file, perhaps a damaged one, and not of a file that was
 * named by mistake: after a crash of the system it may be all zeros. */
static bool has_pid_text(int fd)
{
	char text[TEXT_SIZE + 1];
	ssize_t length = pread(fd, text, sizeof(text), 0);

	for (ssize_t i = 0; i < length; i++) {
		if (!memchr("0123456789- \t\r\n", text[i], sizeof("0123456789- \t\r\n")))
			return false;
	}
	return length >= 0 && length <= TEXT_SIZE;
}

/* Opens the file without following a link or blocking on a FIFO planted in its place. Checked
 * before the open, so that nothing unsafe is opened, and after it, against a race. */
static int open_file(const char *path, int directory, struct failure *failure)
{
	struct stat status;
	int fd;

	if (lstat(path, &status) == 0 && !is_safe(path, &status, directory, failure))
		return -1;
	fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0600);
	if (fd < 0) {
		failure_set_errno(failure, "cannot create pid file %s", path);
		return -1;
	}
	if (fstat(fd, &status) < 0)
		failure_set_errno(failure, "cannot use pid file %s", path);
	else if (is_safe(path, &status, directory, failure) &&
		 (has_pid_text(fd) || refuse(path, "has other content than a process ID", failure)))
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

/* The holder of a lock: a process, PIDFILE_STARTING for an open file description, PIDFILE_UNSEEN or
 * PIDFILE_FREE. The kernel translates the process ID to the PID namespace of the caller. A daemon
 * locks as a writer; readers, who do not conflict with F_RDLCK, do not count. */
static pid_t lock_holder(int fd, enum lock which)
{
	struct flock lock = {
		.l_type = F_RDLCK,
		.l_whence = SEEK_SET,
		.l_start = which,
		.l_len = 1,
	};

	if (fcntl(fd, F_GETLK, &lock) < 0 || lock.l_type == F_UNLCK)
		return PIDFILE_FREE;
	return lock.l_pid != 0 ? lock.l_pid : PIDFILE_UNSEEN;
}

bool pidfile_taken(pid_t holder, const char *path, struct failure *failure)
{
	if (holder > 0)
		return failure_set(failure, EXIT_NOT_STARTED,
				   "already running as process %ld (pid file %s)", (long)holder,
				   path);
	return failure_set(failure, EXIT_NOT_STARTED,
			   holder == PIDFILE_UNSEEN ?
				   "already running in another PID namespace (pid file %s)" :
				   "already starting (pid file %s)",
			   path);
}

static bool lock_file(int fd, const char *path, struct failure *failure)
{
	if (lock(fd, FILE_LOCK, F_WRLCK) && lock(fd, PID_LOCK, F_WRLCK))
		return true;
	if (errno != EAGAIN && errno != EACCES)
		return failure_set_errno(failure, "cannot lock pid file %s", path);
	return pidfile_taken(lock_holder(fd, PID_LOCK), path, failure);
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

/* Whether other users can have the file open, as the mode of older versions lets them: then they
 * can lock it at any time, also after a change of the mode. */
static bool is_exposed(int fd)
{
	struct stat status;

	return fstat(fd, &status) == 0 && (status.st_mode & 077) != 0;
}

/* Removes a file that is exposed, unless a daemon holds it. Should two processes do this at once,
 * so that one removes the other's new file, the control socket decides between them. */
static bool remove_exposed(const struct pidfile *pidfile)
{
	return is_exposed(pidfile->fd) &&
	       (lock(pidfile->fd, FILE_LOCK, F_WRLCK) ||
		lock_holder(pidfile->fd, FILE_LOCK) == PIDFILE_FREE) &&
	       lock_holder(pidfile->fd, PID_LOCK) == PIDFILE_FREE &&
	       is_current(pidfile->fd, pidfile->path) && unlink(pidfile->path) == 0;
}

/* Opens and locks the file at pidfile's path, or removes it. */
static bool open_or_remove(struct pidfile *pidfile, struct failure *failure)
{
	fd_close(&pidfile->fd);
	pidfile->fd = open_file(pidfile->path, pidfile->directory, failure);
	return pidfile->fd >= 0 &&
	       (remove_exposed(pidfile) || lock_file(pidfile->fd, pidfile->path, failure));
}

/* Opens and locks the file at pidfile's path. */
static bool take_file(struct pidfile *pidfile, struct failure *failure)
{
	do {
		if (!open_or_remove(pidfile, failure))
			return false;
	} while (!is_current(pidfile->fd, pidfile->path));
	if (is_exposed(pidfile->fd)) /* it could not be removed */
		fchmod(pidfile->fd, 0600);
	pidfile->owned = true;
	/* Later versions of systemd-tmpfiles respect it on files, too. */
	flock(pidfile->fd, LOCK_SH | LOCK_NB);
	return write_process(pidfile, failure);
}

bool pidfile_take(struct pidfile *pidfile, const char *path, struct failure *failure)
{
	pidfile_clear(pidfile);
	snprintf(pidfile->path, sizeof(pidfile->path), "%s", path);
	if (!run_directory_open(path, &pidfile->directory, failure))
		return false;
	run_directory_lock(pidfile->directory);
	if (take_file(pidfile, failure)) {
		log_write(LOG_DEBUG, "holding pid file %s", path);
		return true;
	}
	pidfile_release(pidfile);
	return false;
}

void pidfile_restore(struct pidfile *pidfile)
{
	struct failure failure;
	struct pidfile next;
	bool lost = pidfile->lost;

	if (pidfile->fd < 0 || !pidfile->owned)
		return;
	run_directory_lock(pidfile->directory);
	if (is_current(pidfile->fd, pidfile->path))
		return;
	if (pidfile_take(&next, pidfile->path, &failure)) {
		next.check_at = pidfile->check_at;
		close(pidfile->fd);
		fd_close(&pidfile->directory);
		*pidfile = next;
		log_write(LOG_WARNING, "pid file %s was removed: created again", pidfile->path);
		return;
	}
	/* If it was the same file after all, its second descriptor took the lock away as it
	 * closed. */
	lock(pidfile->fd, PID_LOCK, F_WRLCK);
	pidfile->lost = true;
	if (!lost)
		log_write(LOG_WARNING, "pid file %s was removed, and cannot be created again: %s",
			  pidfile->path, failure.text);
}

int64_t pidfile_tick(struct pidfile *pidfile, int64_t now)
{
	if (pidfile->fd < 0)
		return INT64_MAX;
	if (pidfile->check_at <= now) {
		pidfile_restore(pidfile);
		pidfile->check_at = now + CHECK_INTERVAL;
	}
	return pidfile->check_at;
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

bool pidfile_replace(struct pidfile *pidfile)
{
	if (!is_current(pidfile->fd, pidfile->path) || unlink(pidfile->path) < 0)
		return false;
	pidfile->owned = true;
	pidfile_restore(pidfile);
	return true;
}

pid_t pidfile_successor(const struct pidfile *pidfile)
{
	return lock_holder(pidfile->fd, PID_LOCK);
}

/* Whether fd is the file at path, or could have been before that was removed or unmounted. */
static bool was_current(int fd, const char *path)
{
	struct stat opened, named;

	return is_current(fd, path) ||
	       (fstat(fd, &opened) == 0 && S_ISREG(opened.st_mode) && lstat(path, &named) < 0);
}

/* Takes a new file in place of an exposed one. The old one stays open until the upgrade has ended,
 * since the daemon looks for this process's lock there; another user may have it. */
static bool replace_exposed(struct pidfile *pidfile, struct failure *failure)
{
	struct failure ignored;

	lock_file(pidfile->fd, pidfile->path, &ignored);
	pidfile->previous = fd_move(&pidfile->fd);
	return take_file(pidfile, failure);
}

bool pidfile_take_over(struct pidfile *pidfile, int fd, const char *path, struct failure *failure)
{
	struct failure no_directory;
	struct stat status;

	pidfile_clear(pidfile);
	pidfile->fd = fd;
	snprintf(pidfile->path, sizeof(pidfile->path), "%s", path);
	if (fd < 0 || fstat(fd, &status) < 0 || !was_current(fd, path))
		return failure_set(failure, EXIT_NOT_STARTED, "pid file %s: is not the daemon's",
				   path);
	/* If it was removed: before the sandbox, which then lets pidfile_tick create the file. */
	run_directory_open(path, &pidfile->directory, &no_directory);
	run_directory_lock(pidfile->directory);
	if (!is_safe(path, &status, pidfile->directory, failure))
		return false;
	if (is_exposed(fd) && unlink(path) == 0)
		return replace_exposed(pidfile, failure);
	return lock_file(fd, path, failure) && write_process(pidfile, failure);
}

void pidfile_own(struct pidfile *pidfile)
{
	pidfile->owned = true;
	fd_close(&pidfile->previous);
}

void pidfile_chown(const struct pidfile *pidfile, uid_t uid, gid_t gid)
{
	if (!run_directory_is_default(pidfile->path))
		return;
	if (fchown(pidfile->directory, uid, gid) < 0)
		return; /* then pidfile_release empties the file instead of removing it */
}

void pidfile_release(struct pidfile *pidfile)
{
	/* If the file was removed, the one at path now belongs to another process. */
	if (pidfile->fd >= 0 && pidfile->owned &&
	    (!is_current(pidfile->fd, pidfile->path) || unlink(pidfile->path) < 0) &&
	    ftruncate(pidfile->fd, 0) < 0)
		log_write(LOG_WARNING, "pid file %s: %m", pidfile->path);
	fd_close(&pidfile->fd);
	fd_close(&pidfile->previous);
	fd_close(&pidfile->directory);
}

bool pidfile_trusts(const char *path, uid_t uid, uid_t user)
{
	uid_t owner;

	return uid == 0 || uid == geteuid() || uid == user ||
	       (geteuid() == 0 && run_directory_owner(path, &owner) && uid == owner);
}

static bool is_trusted(const char *path, const struct stat *status, uid_t user)
{
	return S_ISREG(status->st_mode) && (status->st_mode & 022) == 0 &&
	       pidfile_trusts(path, status->st_uid, user);
}

pid_t pidfile_holder(const char *path, uid_t user)
{
	pid_t holder = PIDFILE_FREE;
	struct stat status;
	int fd = -1;

	if (lstat(path, &status) == 0 && is_trusted(path, &status, user))
		fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		return PIDFILE_FREE;
	if (fstat(fd, &status) < 0 || !is_trusted(path, &status, user)) {
		close(fd);
		return PIDFILE_FREE;
	}
	/* A daemon that starts or takes over has the file lock before the PID lock. */
	for (int i = 0; i < POLL_TRIES; i++) {
		holder = lock_holder(fd, PID_LOCK);
		if (holder != PIDFILE_FREE || lock_holder(fd, FILE_LOCK) == PIDFILE_FREE)
			break;
		holder = PIDFILE_STARTING;
		nanosleep(&poll_delay, NULL);
	}
	close(fd);
	return holder;
}
