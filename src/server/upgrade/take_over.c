#include "server/upgrade/take_over.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "server/control/control_message.h"
#include "server/process/timeouts.h"
#include "server/upgrade/upgrade_message.h"

#define GROUPS_SIZE 4096

/* For a daemon that is slow to say that it has handed over. */
#define END_MILLISECONDS 1000

static bool take_listener(struct take_over *take_over, struct upgrade_message *message,
			  struct failure *failure)
{
	const struct listener *sent = &message->listener;
	struct listener *listener;

	listener =
		listeners_adopt(&take_over->listeners, message->fd, sent->protocol->word, failure);
	message->fd = -1;
	if (!listener)
		return false;
	listener->shard = sent->shard;
	listener->inherited = sent->inherited;
	return true;
}

/* Takes the descriptor of a message that names a known item; the others stay in the message. */
static bool take_item(struct take_over *take_over, struct upgrade_message *message,
		      struct failure *failure)
{
	int *const places[] = {
		[UPGRADE_PIDFILE] = &take_over->pidfile,
		[UPGRADE_CONTROL] = &take_over->control,
		[UPGRADE_NOTIFY] = &take_over->notify,
	};
	int *place;

	if (message->fd < 0)
		return true;
	if (message->item == UPGRADE_LISTENER)
		return take_listener(take_over, message, failure);
	if (message->item > UPGRADE_NOTIFY)
		return true;
	place = places[message->item];
	fd_close(place);
	*place = fd_move(&message->fd);
	return true;
}

/* Nothing has come from a daemon that closes the connections of other users, or that has ended. */
static bool connection_failed(const struct take_over *take_over, const char *path,
			      struct failure *failure)
{
	if (errno == EAGAIN)
		return failure_set(failure, EXIT_NOT_STARTED, "the daemon of pid file %s: no reply",
				   path);
	if (take_over->pidfile < 0 && geteuid() == 0)
		return failure_set(failure, EXIT_NOT_STARTED,
				   "the daemon of pid file %s: stopping, or being replaced", path);
	errno = take_over->pidfile < 0 ? EACCES : ECONNRESET;
	return failure_set_errno(failure, "the daemon of pid file %s", path);
}

static bool refused(const struct upgrade_message *message, const char *path,
		    struct failure *failure)
{
	return failure_set(failure, EXIT_NOT_STARTED, "the daemon of pid file %s: %s", path,
			   message->text);
}

static bool receive_all(struct take_over *take_over, const char *path, struct failure *failure)
{
	struct upgrade_message message;
	bool taken;

	do {
		if (!upgrade_message_receive(take_over->fd, &message))
			return connection_failed(take_over, path, failure);
		taken = message.item == UPGRADE_REFUSED ? refused(&message, path, failure) :
							  take_item(take_over, &message, failure);
		fd_close(&message.fd);
	} while (taken && message.item != UPGRADE_END);
	take_over->watchdog = message.watchdog;
	return taken;
}

/* Reads the control groups of a process from /proc. */
static bool read_groups(const char *process, char text[static GROUPS_SIZE])
{
	char path[64];
	size_t length = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%s/cgroup", process);
	file = fopen(path, "re");
	if (file) {
		length = fread(text, 1, GROUPS_SIZE - 1, file);
		fclose(file);
	}
	text[length] = '\0';
	return length > 0;
}

static bool is_in_same_groups(pid_t daemon)
{
	char ours[GROUPS_SIZE], theirs[GROUPS_SIZE], process[16];

	snprintf(process, sizeof(process), "%ld", (long)daemon);
	return !read_groups(process, theirs) || !read_groups("self", ours) ||
	       strcmp(ours, theirs) == 0;
}

void take_over_clear(struct take_over *take_over)
{
	*take_over = (struct take_over){ .fd = -1, .pidfile = -1, .control = -1, .notify = -1 };
}

static bool send_command(const struct take_over *take_over, enum control_command command)
{
	const char *line = control_message_command(command);

	return send(take_over->fd, line, strlen(line), MSG_NOSIGNAL | MSG_DONTWAIT) >= 0;
}

bool take_over_request(struct take_over *take_over, const struct control_daemon *daemon,
		       struct failure *failure)
{
	const char *path = daemon->pidfile;
	bool same_groups = is_in_same_groups(daemon->process);

	take_over->fd = control_connect(daemon, TIMEOUT_TAKE_OVER, failure);
	if (take_over->fd < 0)
		return false;
	if (!send_command(take_over, CONTROL_COMMAND_UPGRADE))
		return connection_failed(take_over, path, failure);
	if (!receive_all(take_over, path, failure))
		return false;
	/* systemd loses a service whose main process is in another control group. */
	if (take_over->notify >= 0 && !same_groups)
		return failure_set(failure, EXIT_NOT_STARTED,
				   "the daemon of pid file %s is run by systemd: use systemctl"
				   " reload",
				   path);
	return true;
}

/* Until the daemon closes the connection: it has told the service manager by then that this process
 * is the main one, and messages of this process are accepted. */
static void await_end(const struct take_over *take_over)
{
	struct pollfd ended = { .fd = take_over->fd, .events = POLLRDHUP };

	poll(&ended, 1, END_MILLISECONDS);
}

bool take_over_commit(struct take_over *take_over, const char *path, struct failure *failure)
{
	struct upgrade_message message;

	if (take_over->fd < 0)
		return true;
	/* If the daemon has exited there is no refusal to read, and everything is ours. */
	if (!send_command(take_over, CONTROL_COMMAND_SERVING) &&
	    upgrade_message_receive(take_over->fd, &message)) {
		fd_close(&message.fd);
		return refused(&message, path, failure);
	}
	await_end(take_over);
	take_over_close(take_over);
	return true;
}

void take_over_close(struct take_over *take_over)
{
	fd_close(&take_over->fd);
	fd_close(&take_over->pidfile);
	fd_close(&take_over->control);
	fd_close(&take_over->notify);
	listeners_close_unless(&take_over->listeners, NULL);
}
