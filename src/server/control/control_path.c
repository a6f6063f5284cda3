#include "server/control/control_path.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include "base/fd.h"

bool control_path(const char *pidfile, char path[static PATH_MAX])
{
	size_t length = strlen(pidfile);

	if (length > 4 && strcmp(pidfile + length - 4, ".pid") == 0)
		length -= 4;
	if (snprintf(path, PATH_MAX, "%.*s.sock", (int)length, pidfile) < PATH_MAX)
		return true;
	errno = ENAMETOOLONG;
	return false;
}

/* Makes the address of path. sun_path has 108 bytes: a longer path goes through a descriptor of its
 * directory. Returns that descriptor, to be closed after use; -1: none. */
static int make_address(const char *path, struct sockaddr_un *address)
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

static socklen_t make_abstract_address(const char *path, struct sockaddr_un *address)
{
	size_t length = strlen(path), most = sizeof(address->sun_path) - 1;

	if (length > most) {
		path += length - most;
		length = most;
	}
	*address = (struct sockaddr_un){ .sun_family = AF_UNIX };
	memcpy(address->sun_path + 1, path, length); /* after a NUL */
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + length);
}

bool control_path_call(int (*call)(int, const struct sockaddr *, socklen_t), int fd,
		       const char *path, bool abstract)
{
	struct sockaddr_un address;
	socklen_t size = sizeof(address);
	int directory = -1, error;
	bool done;

	if (abstract)
		size = make_abstract_address(path, &address);
	else
		directory = make_address(path, &address);
	done = call(fd, (struct sockaddr *)&address, size) == 0;
	error = errno;
	fd_close(&directory);
	errno = error;
	return done;
}
