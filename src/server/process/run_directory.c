#include "server/process/run_directory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"

#define ROOT_DIRECTORY "/run/timeserver"

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

void run_directory_default_path(char path[static PATH_MAX])
{
	char directory[PATH_MAX - sizeof("/timeserver.pid")];

	default_directory(directory, sizeof(directory));
	snprintf(path, PATH_MAX, "%s/timeserver.pid", directory);
}

bool run_directory_is_default(const char *path)
{
	char directory[PATH_MAX];
	size_t length;

	default_directory(directory, sizeof(directory));
	length = strlen(directory);
	return strncmp(path, directory, length) == 0 && path[length] == '/' &&
	       !strchr(path + length + 1, '/');
}

/* Other users can write to /tmp: a directory there is used only if it is provably our own. Root's
 * may belong to the user of an earlier daemon: root gives it to the next one. */
static bool is_safe(int fd, const char *directory, struct failure *failure)
{
	struct stat status;

	if (fstat(fd, &status) < 0)
		return failure_set_errno(failure, "cannot use directory %s", directory);
	if (geteuid() != 0 && status.st_uid != geteuid())
		return failure_set(failure, EXIT_PERMISSION, "%s: belongs to another user",
				   directory);
	return (status.st_mode & 022) == 0 ||
	       failure_set(failure, EXIT_PERMISSION, "%s: is writable by other users", directory);
}

static int open_directory(const char *path, int flags)
{
	return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | flags);
}

/* mkdir only where nothing is: a sandbox that refuses it does so where the directory exists too. */
static bool open_default(int *fd, struct failure *failure)
{
	char directory[PATH_MAX];

	default_directory(directory, sizeof(directory));
	*fd = open_directory(directory, O_NOFOLLOW);
	if (*fd < 0 && errno == ENOENT) {
		if (mkdir(directory, geteuid() == 0 ? 0755 : 0700) < 0 && errno != EEXIST)
			return failure_set_errno(failure, "cannot create directory %s", directory);
		*fd = open_directory(directory, O_NOFOLLOW);
	}
	if (*fd < 0 && (errno == ENOTDIR || errno == ELOOP))
		return failure_set(failure, EXIT_NOT_STARTED, "%s: is not a directory", directory);
	if (*fd < 0)
		return failure_set_errno(failure, "cannot use directory %s", directory);
	if (is_safe(*fd, directory, failure))
		return true;
	fd_close(fd);
	return false;
}

static void directory_of(const char *path, char directory[static PATH_MAX])
{
	const char *slash = strrchr(path, '/');

	snprintf(directory, PATH_MAX, "%.*s", slash ? (int)(slash + 1 - path) : 1,
		 slash ? path : ".");
}

bool run_directory_open(const char *path, int *directory, struct failure *failure)
{
	char name[PATH_MAX];

	if (run_directory_is_default(path))
		return open_default(directory, failure);
	directory_of(path, name);
	*directory = open_directory(name, 0);
	return true;
}

bool run_directory_owner(const char *path, uid_t *owner)
{
	char name[PATH_MAX];
	struct stat status;

	directory_of(path, name);
	if (stat(name, &status) < 0)
		return false;
	*owner = status.st_uid;
	return true;
}

void run_directory_lock(int directory)
{
	struct stat status;

	if (fstat(directory, &status) == 0 && (status.st_mode & S_ISVTX) == 0)
		flock(directory, LOCK_SH | LOCK_NB);
}
