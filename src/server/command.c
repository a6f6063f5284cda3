#include "server/command.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/syscalls.h"
#include "clock/clock.h"
#include "server/config/config.h"
#include "server/control/control.h"
#include "server/control/control_client.h"
#include "server/control/control_message.h"
#include "server/process/pidfile.h"
#include "server/process/timeouts.h"
#include "server/status.h"

/* How often to look whether a process has ended, without its pidfd. */
#define POLL_MILLISECONDS 10

static enum exit_status failed(const struct failure *failure)
{
	log_print(LOG_ERR, "%s", failure->text);
	return failure->status;
}

/* fd is the pidfd of the process, which never means another one; -1 where the kernel refuses it.
 * Returns false with errno. */
static bool send_sigterm(pid_t process, int fd)
{
	if (fd >= 0 && syscall(SYS_pidfd_send_signal, fd, SIGTERM, NULL, 0) == 0)
		return true;
	if (fd >= 0 && errno == ESRCH)
		return false;
	return kill(process, SIGTERM) == 0;
}

#define PROCESS_NAME_SIZE 48

static const char *name_process(pid_t process, char name[static PROCESS_NAME_SIZE])
{
	if (process == PIDFILE_UNSEEN)
		snprintf(name, PROCESS_NAME_SIZE, "process in another PID namespace");
	else
		snprintf(name, PROCESS_NAME_SIZE, "process %ld", (long)process);
	return name;
}

static enum exit_status print_done(pid_t process, const char *what)
{
	char name[PROCESS_NAME_SIZE];

	log_result("%s %s", name_process(process, name), what);
	return EXIT_SERVING;
}

static bool is_current(const struct control_daemon *daemon)
{
	struct control_daemon found = *daemon;
	struct failure ignored;

	return control_find(&found, &ignored) && found.process == daemon->process;
}

/* Without a pidfd, the process has ended when it is no longer found. */
static bool wait_exit(const struct control_daemon *daemon, int fd)
{
	int64_t deadline = clock_monotonic() + TIMEOUT_COMMAND * CLOCK_SECOND;
	struct pollfd ended = { .fd = fd, .events = POLLIN }; /* a negative fd just waits */

	do {
		if (poll(&ended, 1, fd < 0 ? POLL_MILLISECONDS : TIMEOUT_COMMAND * 1000) == 1 ||
		    (fd < 0 && !is_current(daemon)))
			return true;
	} while (clock_monotonic() < deadline);
	return false;
}

/* The daemon is searched again once the pidfd is open: a process id that was reused in between is
 * not signalled. */
static bool terminate(const struct control_daemon *daemon, struct failure *failure)
{
	long process = daemon->process;
	int fd = (int)syscall(SYS_pidfd_open, daemon->process, 0);
	bool done = true;

	if (!is_current(daemon))
		goto out;
	if (!send_sigterm(daemon->process, fd)) {
		done = errno == ESRCH ||
		       failure_set_errno(failure, "cannot stop process %ld", process);
		goto out;
	}
	done = wait_exit(daemon, fd) ||
	       failure_set(failure, EXIT_NOT_STARTED, "process %ld has not stopped after %d s",
			   process, TIMEOUT_COMMAND);
out:
	fd_close(&fd);
	return done;
}

static enum exit_status stop(const struct control_daemon *daemon)
{
	struct failure failure;

	if (daemon->process == PIDFILE_UNSEEN)
		failure_set(&failure, EXIT_NOT_STARTED,
			    "cannot stop a process in another PID namespace (pid file %s)",
			    daemon->pidfile);
	else if (terminate(daemon, &failure))
		return print_done(daemon->process, "stopped");
	return failed(&failure);
}

/* Whole lines are printed as they are; a phrase gets the program and the process in front. */
static void print_errors(pid_t process, const char *text)
{
	char name[PROCESS_NAME_SIZE];

	if (strchr(text, '\n'))
		config_print_errors(text);
	else
		log_print(LOG_ERR, "%s: %s", name_process(process, name), text);
}

/* Sets *upgrade to whether the daemon runs another program file than this process. A successor
 * would be started with source, so the daemon must have been, too. */
static bool check_upgrade(const struct control_daemon *daemon, const struct config_source *source,
			  bool *upgrade, struct failure *failure)
{
	char *reply = control_request(daemon, control_message_command(CONTROL_COMMAND_STATUS),
				      TIMEOUT_COMMAND, failure);
	char own[STATUS_MEMBER_SIZE], started_with[STATUS_MEMBER_SIZE];
	bool same;

	if (!reply)
		return false;
	status_source(source, started_with);
	same = status_has(reply, "source", started_with);
	*upgrade = same && (!status_program(own) || !status_has(reply, "executable", own));
	free(reply);
	return same || failure_set(failure, EXIT_USAGE,
				   "process %ld was started with other options: --signal reload"
				   " --upgrade needs the same --config, --option and --user",
				   (long)daemon->process);
}

/* Sets *upgrade if --upgrade was given and the daemon cannot do what is asked: it runs another
 * program, or lacks a right for the new configuration. */
static enum exit_status reload(const struct control_daemon *daemon,
			       const struct config_source *source, bool *upgrade)
{
	bool may_upgrade = *upgrade;
	struct failure failure;
	enum exit_status status = EXIT_NOT_STARTED;
	char *reply, *text;

	*upgrade = false;
	if (may_upgrade && !check_upgrade(daemon, source, upgrade, &failure))
		return failed(&failure);
	if (*upgrade)
		return EXIT_SERVING;
	reply = control_request(daemon, control_message_command(CONTROL_COMMAND_RELOAD),
				TIMEOUT_COMMAND, &failure);
	text = reply ? malloc(CONTROL_REPLY_MAX) : NULL;
	if (text)
		status = control_message_read_reply(reply, text, CONTROL_REPLY_MAX);
	*upgrade = may_upgrade && text && status == EXIT_PERMISSION;
	if (!reply)
		status = failed(&failure);
	else if (!*upgrade && (!text || text[0] != '\0'))
		print_errors(daemon->process, text ? text : "out of memory");
	if (reply && status == EXIT_SERVING)
		print_done(daemon->process, "reloaded");
	free(text);
	free(reply);
	return status;
}

static enum exit_status show_status(const struct control_daemon *daemon, bool json)
{
	struct failure failure;
	char *reply = control_request(daemon, control_message_command(CONTROL_COMMAND_STATUS),
				      TIMEOUT_COMMAND, &failure);
	enum exit_status status;
	char text[256];

	if (!reply)
		return failed(&failure);
	status = control_message_read_reply(reply, text, sizeof(text));
	if (status != EXIT_SERVING)
		print_errors(daemon->process, text);
	else if (json)
		status_print_json(reply, stdout);
	else
		status_print(reply, stdout);
	free(reply);
	return status;
}

enum exit_status command_run(const struct options *options, const struct config_source *source,
			     const struct config *config, bool *upgrade)
{
	struct control_daemon daemon = { .pidfile = config->pidfile, .user = config->user.uid };
	struct failure failure;

	*upgrade = false;
	if (daemon.pidfile[0] == '\0') {
		failure_set(&failure, EXIT_USAGE, "pidfile none: --signal cannot find the daemon");
		return failed(&failure);
	}
	if (!control_find(&daemon, &failure))
		return failed(&failure);
	switch (options->action) {
	case ACTION_STOP:
		return stop(&daemon);
	case ACTION_RELOAD:
		*upgrade = options->upgrade;
		return reload(&daemon, source, upgrade);
	default:
		return show_status(&daemon, options->json);
	}
}
