#include "server/process/notify.h"

#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/text.h"
#include "clock/clock.h"

/* For a service manager that is busy at boot. */
#define OPEN_MILLISECONDS 1000

/* Whether the process id in an environment variable is this process. */
static bool is_for_us(const char *variable)
{
	const char *value = getenv(variable);
	unsigned process;

	return value && text_to_number(value, 1, INT_MAX, &process) && (pid_t)process == getpid();
}

/* Half the watchdog's time-out, as sd_watchdog_enabled(3) recommends. A number too large counts as
 * the largest. */
static int64_t watchdog_span(const char *microseconds)
{
	unsigned number = UINT_MAX;

	if (!microseconds || strspn(microseconds, "0123456789") != strlen(microseconds) ||
	    (getenv("WATCHDOG_PID") && !is_for_us("WATCHDOG_PID")))
		return 0;
	text_to_number(microseconds, 0, UINT_MAX, &number);
	return (int64_t)number * 1000 / 2;
}

void notify_read_environment(struct notify *notify)
{
	const char *sockets = getenv("LISTEN_FDS");
	unsigned number;

	*notify = (struct notify){
		.socket = -1,
		.watchdog = watchdog_span(getenv("WATCHDOG_USEC")),
	};
	if (sockets && text_to_number(sockets, 1, 1024, &number) && is_for_us("LISTEN_PID")) {
		notify->inherited = (int)number;
		notify->names = getenv("LISTEN_FDNAMES");
	}
}

bool notify_is_supervised(void)
{
	return getenv("NOTIFY_SOCKET") || is_for_us("LISTEN_PID") || getpid() == 1;
}

void notify_open(struct notify *notify)
{
	struct sockaddr_un manager = { .sun_family = AF_UNIX };
	const char *path = getenv("NOTIFY_SOCKET");
	size_t length = path ? strlen(path) : 0;

	if (notify->socket >= 0 || length < 2 || length >= sizeof(manager.sun_path) ||
	    (path[0] != '/' && path[0] != '@'))
		return;
	memcpy(manager.sun_path, path, length);
	if (path[0] == '@') /* an abstract address */
		manager.sun_path[0] = '\0';
	notify->socket = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (notify->socket < 0)
		return;
	if (connect(notify->socket, (struct sockaddr *)&manager,
		    (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length)) == 0) {
		struct pollfd room = { .fd = notify->socket, .events = POLLOUT };

		poll(&room, 1, OPEN_MILLISECONDS);
		return;
	}
	fd_close(&notify->socket);
}

void notify_send(const struct notify *notify, const char *format, ...)
{
	char state[512];
	va_list arguments;
	int length;

	if (notify->socket < 0)
		return;
	va_start(arguments, format);
	length = vsnprintf(state, sizeof(state), format, arguments);
	va_end(arguments);
	if (length <= 0)
		return;
	if ((size_t)length >= sizeof(state))
		length = sizeof(state) - 1;
	if (send(notify->socket, state, (size_t)length, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		return; /* nothing to be done about it */
}

void notify_send_reloading(const struct notify *notify)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	notify_send(notify, "RELOADING=1\nMONOTONIC_USEC=%lld",
		    now.tv_sec * 1000000LL + now.tv_nsec / 1000);
}

void notify_socket_name(const struct notify *notify, int index, char *name, unsigned size)
{
	const char *start = notify->names ? notify->names : "";

	for (; index > 0 && *start != '\0'; start++) {
		if (*start == ':')
			index--;
	}
	snprintf(name, size, "%.*s", (int)strcspn(start, ":"), start);
}
