#include "server/process/daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/signals.h"
#include "clock/clock.h"
#include "server/process/timeouts.h"

/* The write end of the status pipe in the daemon. */
#define REPORT_DESCRIPTOR 3

/* The message in the status pipe. */
struct report {
	unsigned char status;
	char text[1000];
};
_Static_assert(sizeof(struct report) <= PIPE_BUF, "a report must be written at once");

void daemon_fill_standard_descriptors(void)
{
	int fd;

	do {
		fd = open("/dev/null", O_RDWR);
	} while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd > STDERR_FILENO)
		close(fd);
}

static void report_write(int report, enum exit_status status, const char *text)
{
	struct report message = { .status = (unsigned char)status };

	snprintf(message.text, sizeof(message.text), "%s", text);
	/* Serve also if the calling process was killed while it waited. */
	(void)!write(report, &message, sizeof(message));
	close(report);
}

void daemon_report_serving(int report, const char *what)
{
	char text[512];

	snprintf(text, sizeof(text), "serving as process %ld: %s", (long)getpid(), what);
	if (report >= 0)
		report_write(report, EXIT_SERVING, text);
}

void daemon_report_failure(int report, const struct failure *failure)
{
	if (report >= 0)
		report_write(report, failure->status, failure->text);
	else
		log_print(LOG_ERR, "%s", failure->text);
}

/* Reads the report. Returns false if the daemon exited first, or if the time is up: late. */
static bool report_read(int report, struct report *message, bool *late)
{
	int64_t deadline = clock_monotonic() + TIMEOUT_START * CLOCK_SECOND;
	struct pollfd ready = { .fd = report, .events = POLLIN };
	int64_t left;

	do {
		left = (deadline - clock_monotonic()) / CLOCK_MILLISECOND;
		*late = left <= 0;
	} while (!*late && poll(&ready, 1, (int)left) != 1);
	return !*late && read(report, message, sizeof(*message)) == sizeof(*message);
}

/* The rest of the calling process: the shell gets its prompt back when the daemon has reported. */
static _Noreturn void wait_for_report(int report, pid_t session)
{
	struct report message;
	bool late, reported = report_read(report, &message, &late);

	/* Without a report no daemon may be left running. */
	if (!reported)
		kill(-session, late ? SIGKILL : SIGTERM);
	waitpid(session, NULL, 0); /* reaps the session leader */
	if (reported && message.status != EXIT_SERVING) {
		log_print(LOG_ERR, "%s", message.text);
		exit(message.status);
	}
	if (reported) {
		log_result("%s", message.text);
		if (fflush(stdout) != 0)
			log_print(LOG_WARNING, "serving, but cannot write standard output: %s",
				  strerror(errno));
		exit(EXIT_SERVING);
	}
	if (late)
		log_print(LOG_ERR, "killed: not serving after %d s", TIMEOUT_START);
	else
		log_print(LOG_ERR, "exited unexpectedly before it served");
	exit(EXIT_NOT_STARTED);
}

static _Noreturn void give_up(int report, const char *what)
{
	struct failure failure;

	failure_set_errno(&failure, "cannot become a daemon: %s", what);
	daemon_report_failure(report, &failure);
	_exit(failure.status);
}

/* Puts /dev/null on standard input, output and error, moves report to REPORT_DESCRIPTOR and closes
 * everything else. */
static void close_descriptors(int report)
{
	int null = open("/dev/null", O_RDWR);

	if (null < 0)
		give_up(report, "/dev/null");
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
		if (dup2(null, fd) < 0)
			give_up(report, "/dev/null");
	}
	if (report != REPORT_DESCRIPTOR && dup3(report, REPORT_DESCRIPTOR, O_CLOEXEC) < 0)
		give_up(report, "status pipe");
	fd_close_from(REPORT_DESCRIPTOR + 1);
}

int daemon_detach(void)
{
	int report[2];
	pid_t child;

	if (pipe2(report, O_CLOEXEC) < 0)
		give_up(-1, "pipe");
	fflush(NULL); /* or both processes would print the buffers */

	/* 1. The parent waits for the report; the child goes on in the background. */
	child = fork();
	if (child < 0)
		give_up(-1, "fork");
	if (child > 0) {
		close(report[1]);
		wait_for_report(report[0], child);
	}
	signals_reset();

	/* 2. A new session, without a controlling terminal. */
	if (setsid() < 0)
		give_up(report[1], "setsid");

	/* 3. The exit of a session leader may send SIGHUP; afterwards it means: reload. */
	signal(SIGHUP, SIG_IGN);

	/* 4. The leader exits: only a leader could acquire a terminal again. */
	child = fork();
	if (child < 0)
		give_up(report[1], "fork");
	if (child > 0)
		_exit(EXIT_SUCCESS);

	/* 5. Keep no file system from being unmounted. */
	if (chdir("/") < 0)
		give_up(report[1], "/");

	/* 6. Close all that the caller had open. */
	close_descriptors(report[1]);

	/* 7. Every file created from here on states its own mode. */
	umask(0);

	/* 8. The caller of this function opens the log: it knows the facility. */
	return REPORT_DESCRIPTOR;
}

void daemon_foreground_setup(int inherited_sockets)
{
	struct failure failure;

	signals_reset();
	fd_close_from(STDERR_FILENO + 1 + inherited_sockets);
	umask(0);
	if (chdir("/") == 0)
		return;
	failure_set_errno(&failure, "cannot start: /");
	daemon_report_failure(-1, &failure);
	exit(failure.status);
}
