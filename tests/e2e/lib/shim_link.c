/* For LD_PRELOAD: another user who can write to the directory of a Unix socket, and puts a hard
 * link to the file named by SHIM_LINK in its place as soon as it is bound. */
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

/* The C library declares it with reserved names.
 * NOLINTBEGIN(readability-inconsistent-declaration-parameter-name) */
int bind(int fd, const struct sockaddr *address, socklen_t size)
{
	const char *path = ((const struct sockaddr_un *)address)->sun_path;
	const char *target = getenv("SHIM_LINK");
	int result = (int)syscall(SYS_bind, fd, address, size);

	if (result == 0 && address->sa_family == AF_UNIX && path[0] == '/' && target &&
	    unlink(path) == 0)
		result = link(target, path);
	return result;
}
/* NOLINTEND(readability-inconsistent-declaration-parameter-name) */
