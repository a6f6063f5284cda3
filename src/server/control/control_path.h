/* Where the control socket is: beside the pid file, or, if that directory is gone, in the abstract
 * namespace of unix(7), by the same name. */
#ifndef SERVER_CONTROL_PATH_H
#define SERVER_CONTROL_PATH_H

#include <limits.h>
#include <stdbool.h>
#include <sys/socket.h>

/* For /run/timeserver/timeserver.pid: /run/timeserver/timeserver.sock. Returns false, with errno,
 * if the path is too long. */
bool control_path(const char *pidfile, char path[static PATH_MAX]);

/* Calls bind(2) or connect(2) with the address of path, which may be longer than sun_path. The
 * abstract name is the end of path, as far as sun_path has room. Returns false with errno. */
bool control_path_call(int (*call)(int, const struct sockaddr *, socklen_t), int fd,
		       const char *path, bool abstract);

#endif
