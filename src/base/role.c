#include "base/role.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include "base/signals.h"
#include "base/text.h"

#define NUMBER_MAX (1 << 24)

void role_begin(struct role *role, const char *process_name, char **words)
{
	prctl(PR_SET_NAME, process_name);
	signals_reset();
	signal(SIGTERM, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	*role = (struct role){ .words = words, .valid = true };
	role->supervisor_fd = role_take_fd(role);
}

int role_take_number(struct role *role)
{
	unsigned number;

	if (!role->valid || !*role->words ||
	    !text_to_number(*role->words, 0, NUMBER_MAX, &number)) {
		role->valid = false;
		return -1;
	}
	role->words++;
	return (int)number;
}

int role_take_fd(struct role *role)
{
	int fd = role_take_number(role);

	if (role->valid && fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
		role->valid = false;
	return role->valid ? fd : -1;
}

void role_send(const struct role *role, const char *text)
{
	(void)!send(role->supervisor_fd, text, strlen(text), MSG_NOSIGNAL);
}

bool role_reply_ping(const struct role *role)
{
	char ping;
	ssize_t length = recv(role->supervisor_fd, &ping, sizeof(ping), MSG_DONTWAIT);

	if (length > 0)
		role_send(role, ROLE_READY);
	return length > 0 || (length < 0 && errno == EAGAIN);
}
