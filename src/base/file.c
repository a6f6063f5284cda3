#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define NULL_DEVICE makedev(1, 3)

const char *file_kind(const struct stat *status)
{
	switch (status->st_mode & S_IFMT) {
	case S_IFREG:
		return NULL;
	case S_IFDIR:
		return "a directory";
	case S_IFIFO:
		return "a FIFO";
	case S_IFSOCK:
		return "a socket";
	case S_IFLNK:
		return "a symbolic link";
	default:
		return "a device";
	}
}

static bool is_null_device(const struct stat *status)
{
	return S_ISCHR(status->st_mode) && status->st_rdev == NULL_DEVICE;
}

bool file_can_block(const struct stat *status)
{
	return !is_null_device(status) &&
	       (S_ISFIFO(status->st_mode) || S_ISCHR(status->st_mode) || S_ISBLK(status->st_mode));
}

static bool is_readable(const struct stat *status, char reason[static FILE_REASON_SIZE])
{
	const char *kind = file_kind(status);

	if (!kind || is_null_device(status))
		return true;
	snprintf(reason, FILE_REASON_SIZE, "Is %s", kind);
	return false;
}

/* Checked before the open, which can have an effect on a device, and after it, against a race. */
FILE *file_open(const char *path, char reason[static FILE_REASON_SIZE])
{
	struct stat status;
	FILE *file = NULL;
	int fd;

	if (stat(path, &status) == 0 && !is_readable(&status, reason))
		return NULL;
	fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &status) < 0) {
		snprintf(reason, FILE_REASON_SIZE, "%s", strerror(errno));
	} else if (is_readable(&status, reason)) {
		file = fdopen(fd, "r");
		if (!file)
			snprintf(reason, FILE_REASON_SIZE, "%s", strerror(errno));
	}
	if (!file && fd >= 0)
		close(fd);
	return file;
}
