#include "server/process/child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/role.h"
#include "base/sandbox.h"
#include "clock/clock.h"
#include "server/process/timeouts.h"

/* From the request to end until the kill: while the caller waits, and in the background. */
#define EXIT_WAIT   (4 * CLOCK_SECOND / 5)
#define RETIRE_TIME CLOCK_SECOND
_Static_assert(ROLE_DRAIN_MILLISECONDS *CLOCK_MILLISECOND < EXIT_WAIT, "a child has time to drain");
_Static_assert(EXIT_WAIT < RETIRE_TIME, "a replaced child has more time");

/* A process that has run this long resets the restart delay. */
#define HEALTHY_AFTER (10 * CLOCK_SECOND)

/* Restart delay: none after the first end, then 0.2 s, doubling up to 12.8 s. */
#define BACKOFF		  (CLOCK_SECOND / 10)
#define BACKOFF_DOUBLINGS 7

/* Missed pings are counted, not timed: after a suspend of the machine no process looks hung. */
#define PING_INTERVAL	 (2 * CLOCK_SECOND)
#define MISSED_PINGS_MAX 3

#define WORDS_MAX 80
#define WORD_SIZE 32

struct child_args {
	char *words[WORDS_MAX + 1]; /* the last one is NULL */
	char text[WORDS_MAX][WORD_SIZE];
	unsigned count;
	posix_spawn_file_actions_t actions;
	int error; /* the first one; 0: none */
};

static void add_word(struct child_args *args, const char *prefix, const char *word)
{
	char *text = args->text[args->count];

	if (args->count == WORDS_MAX) {
		args->error = E2BIG;
		return;
	}
	if (snprintf(text, WORD_SIZE, "%s%s", prefix, word) >= WORD_SIZE)
		args->error = E2BIG;
	args->words[args->count++] = text;
}

void child_args_add_number(struct child_args *args, unsigned number)
{
	char word[WORD_SIZE];

	snprintf(word, sizeof(word), "%u", number);
	add_word(args, "", word);
}

void child_args_add_fd(struct child_args *args, int fd)
{
	child_args_add_number(args, (unsigned)fd);
	if (args->error == 0)
		args->error = posix_spawn_file_actions_adddup2(&args->actions, fd, fd);
}

/* The terminal or log that this process may have is not for its children. A sanitizer or valgrind
 * writes there. */
static void redirect_stdio(struct child_args *args)
{
	if (args->error != 0 || sandbox_is_instrumented())
		return;
	args->error = posix_spawn_file_actions_addopen(&args->actions, STDIN_FILENO, "/dev/null",
						       O_RDONLY, 0);
	for (int fd = STDOUT_FILENO; args->error == 0 && fd <= STDERR_FILENO; fd++)
		args->error = posix_spawn_file_actions_adddup2(&args->actions, STDIN_FILENO, fd);
}

static void set_args(struct child *child, int supervisor_fd, struct child_args *args)
{
	int error;

	add_word(args, "", PROGRAM_NAME);
	add_word(args, ROLE_OPTION, child->role->name);
	child_args_add_fd(args, supervisor_fd);
	error = child->role->pass(child->context, args);
	if (args->error == 0)
		args->error = error;
	redirect_stdio(args);
}

/* A child gets nothing of the environment, which may have secrets of the caller, but what the
 * dynamic loader needs to find the same libraries. A sanitizer or valgrind has its options in it.
 */
static char **child_environment(void)
{
	static const char *const kept[] = { "LD_LIBRARY_PATH=", "LD_PRELOAD=" };
	static char *environment[sizeof(kept) / sizeof(kept[0]) + 1];
	size_t count = 0;

	if (sandbox_is_instrumented())
		return environ;
	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++) {
		for (char **variable = environ; *variable; variable++) {
			if (strncmp(*variable, kept[i], strlen(kept[i])) == 0) {
				environment[count++] = *variable;
				break;
			}
		}
	}
	environment[count] = NULL;
	return environment;
}

/* Executes this program in the role. All other descriptors are close-on-exec. What this process
 * ignores (see base/signals.h) the new one ignores from the beginning. Returns 0 or an errno. */
static int spawn(struct child *child, int supervisor_fd, pid_t *process)
{
	struct child_args args = { .count = 0 };
	posix_spawnattr_t attributes;
	sigset_t none;
	int error = posix_spawnattr_init(&attributes);

	if (error != 0)
		return error;
	error = posix_spawn_file_actions_init(&args.actions);
	if (error != 0)
		goto out;
	sigemptyset(&none);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
	posix_spawnattr_setsigmask(&attributes, &none);
	set_args(child, supervisor_fd, &args);
	error = args.error != 0 ? args.error :
				  posix_spawn(process, ROLE_PROGRAM, &args.actions, &attributes,
					      args.words, child_environment());
	posix_spawn_file_actions_destroy(&args.actions);
out:
	posix_spawnattr_destroy(&attributes);
	return error;
}

/* Waits until a new process says that it serves, or why it cannot. */
static bool await_ready(const struct child *child, int supervisor_fd, struct failure *failure)
{
	struct pollfd readable = { .fd = supervisor_fd, .events = POLLIN };
	char text[ROLE_MESSAGE_MAX] = "not ready in time";
	ssize_t length;

	if (poll(&readable, 1, TIMEOUT_CHILD_START * 1000) == 1) {
		length = recv(supervisor_fd, text, sizeof(text) - 1, MSG_DONTWAIT);
		if (length > 0)
			text[length] = '\0';
		else
			snprintf(text, sizeof(text), "exited before it was ready");
	}
	if (strcmp(text, ROLE_READY) == 0)
		return true;
	return failure_set(failure, EXIT_NOT_STARTED, "cannot start the %s: %s", child->role->title,
			   text);
}

/* Waits for a process to end, until a time at which it is killed. */
static void wait_exit(pid_t process, int64_t until)
{
	if (process == 0)
		return;
	while (clock_monotonic() < until) {
		if (waitpid(process, NULL, WNOHANG) != 0)
			return;
		poll(NULL, 0, 1);
	}
	kill(process, SIGKILL);
	waitpid(process, NULL, 0);
}

/* Asks the present process, if there is one, to end. */
static void retire(struct child *child)
{
	if (child->process == 0)
		return;
	wait_exit(child->previous, clock_monotonic() + EXIT_WAIT);
	fd_close(&child->supervisor_fd);
	child->previous = child->process;
	child->kill_at = clock_monotonic() + RETIRE_TIME;
	child->process = 0;
}

/* Starts a process in place of the present one, which stays if that fails. */
static bool start(struct child *child, struct failure *failure)
{
	int64_t started = clock_monotonic();
	pid_t process = 0;
	int fds[2];

	counter_add(child->starts, 1);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
		return failure_set_errno(failure, "cannot start the %s", child->role->title);
	errno = spawn(child, fds[1], &process);
	if (errno != 0) {
		failure_set_errno(failure, "cannot start the %s", child->role->title);
		process = 0;
	}
	close(fds[1]);
	if (process == 0 || !await_ready(child, fds[0], failure)) {
		close(fds[0]);
		wait_exit(process, clock_monotonic() + EXIT_WAIT);
		return false;
	}
	retire(child);
	child->process = process;
	child->supervisor_fd = fds[0];
	child->started = started;
	child->ping_at = clock_monotonic() + PING_INTERVAL;
	child->missed_pings = 0;
	child->restart_at = INT64_MAX;
	return true;
}

static void schedule_restart(struct child *child, int64_t now)
{
	unsigned failures = child->failures;
	unsigned doublings = failures < BACKOFF_DOUBLINGS ? failures : BACKOFF_DOUBLINGS;

	child->restart_at = now + (failures == 0 ? 0 : BACKOFF << doublings);
	child->failures++;
}

void child_open(struct child *child, const struct child_role *role, void *context,
		struct counter *starts, struct counter *crashes)
{
	*child = (struct child){
		.role = role,
		.context = context,
		.starts = starts,
		.crashes = crashes,
		.supervisor_fd = -1,
		.restart_at = INT64_MAX,
	};
}

bool child_replace(struct child *child, struct failure *failure)
{
	bool started;

	child->failures = 0;
	started = start(child, failure);
	if (!started)
		schedule_restart(child, clock_monotonic());
	return started;
}

void child_stop(struct child *child)
{
	child->restart_at = INT64_MAX;
	retire(child);
}

bool child_reap(struct child *child, pid_t process, int status)
{
	int64_t now = clock_monotonic();

	if (process == child->previous) {
		child->previous = 0;
		return true;
	}
	if (process != child->process)
		return false;
	log_limited(&child->crash_log, LOG_WARNING, "the %s %s %d: restarting it",
		    child->role->title,
		    WIFSIGNALED(status) ? "was killed by signal" : "exited with status",
		    WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
	counter_add(child->crashes, 1);
	child->process = 0;
	fd_close(&child->supervisor_fd);
	if (now - child->started > HEALTHY_AFTER)
		child->failures = 0;
	schedule_restart(child, now);
	return true;
}

static void restart(struct child *child)
{
	struct failure failure;

	if (start(child, &failure))
		return;
	log_limited(&child->start_log, LOG_ERR, "%s", failure.text);
	schedule_restart(child, clock_monotonic());
}

/* Takes the replies to earlier pings, which may be anything, and sends the next ping. */
static void ping(struct child *child, int64_t now)
{
	char reply;

	child->ping_at = now + PING_INTERVAL;
	for (int i = 0; i < MISSED_PINGS_MAX; i++) {
		if (recv(child->supervisor_fd, &reply, sizeof(reply), MSG_DONTWAIT) > 0)
			child->missed_pings = 0;
	}
	if (child->missed_pings == MISSED_PINGS_MAX) {
		log_limited(&child->hang_log, LOG_ERR, "the %s hangs: killing it",
			    child->role->title);
		kill(child->process, SIGKILL);
		return;
	}
	(void)!send(child->supervisor_fd, ROLE_PING, strlen(ROLE_PING),
		    MSG_DONTWAIT | MSG_NOSIGNAL);
	child->missed_pings++;
}

int64_t child_tick(struct child *child, int64_t now)
{
	int64_t due = INT64_MAX;

	if (child->restart_at <= now)
		restart(child);
	if (child->previous != 0 && child->kill_at <= now) {
		kill(child->previous, SIGKILL); /* child_reap is told when it has ended */
		child->kill_at = INT64_MAX;
	}
	if (child->process != 0 && child->ping_at <= now)
		ping(child, now);
	if (child->previous != 0)
		due = child->kill_at;
	if (child->process != 0)
		due = clock_earlier(due, child->ping_at);
	return clock_earlier(due, child->restart_at);
}

void child_release(struct child *child)
{
	fd_close(&child->supervisor_fd);
	child->restart_at = INT64_MAX;
	child->kill_at = clock_monotonic() + EXIT_WAIT;
}

void child_wait_exit(struct child *child)
{
	wait_exit(child->process, child->kill_at);
	wait_exit(child->previous, child->kill_at);
	child->process = 0;
	child->previous = 0;
}
