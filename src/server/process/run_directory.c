#include "server/process/run_directory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

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

/* Other users can write to /tmp: a directory there is used only if it is provably our own. */
bool run_directory_create(const char *path, struct failure *failure)
{
	char directory[PATH_MAX];
	struct stat status;
	mode_t mode = geteuid() == 0 ? 0755 : 0700;

	if (!run_directory_is_default(path))
		return true;
	default_directory(directory, sizeof(directory));
	/* A sandbox that refuses mkdir does so also where the directory exists. */
	if (lstat(directory, &status) < 0 && errno == ENOENT && mkdir(directory, mode) < 0 &&
	    errno != EEXIST)
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

int run_directory_open(const char *path)
{
	const char *slash = strrchr(path, '/');
	char directory[PATH_MAX];

	snprintf(directory, sizeof(directory), "%.*s", slash ? (int)(slash + 1 - path) : 0, path);
	return open(slash ? directory : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

void run_directory_lock(int directory)
{
	struct stat status;

	if (fstat(directory, &status) == 0 && (status.st_mode & S_ISVTX) == 0)
		flock(directory, LOCK_SH | LOCK_NB);
}
