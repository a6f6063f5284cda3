/* A daemon that hangs at its start, on a clock that runs faster. */
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "server/process/daemon.h"
#include "server/process/timeouts.h"

/* Seconds on the clock of the process that waits. */
static atomic_int seconds;

/* NOLINTBEGIN(readability-inconsistent-declaration-parameter-name): reserved in the library */

int clock_gettime(clockid_t clock, struct timespec *time)
{
	(void)clock;
	*time = (struct timespec){ .tv_sec = seconds };
	return 0;
}

/* A second of the clock is a hundredth of a second; it waits for one of them at most. */
int poll(struct pollfd *fds, nfds_t count, int milliseconds)
{
	struct timespec wait = { .tv_nsec = 10000000 };

	(void)milliseconds;
	seconds++;
	return ppoll(fds, count, &wait, NULL);
}

/* NOLINTEND(readability-inconsistent-declaration-parameter-name) */

/* The status of the process that waits for the daemon, and how the daemon has ended. */
static void start(void (*serve)(int report), int *status, int *daemon_status)
{
	pid_t starter;

	prctl(PR_SET_CHILD_SUBREAPER, 1); /* the daemon becomes a child of this process */
	starter = fork();
	if (starter == 0) {
		close(STDERR_FILENO);
		assert_non_null(freopen("/dev/null", "w", stdout));
		serve(daemon_detach());
		_exit(99);
	}
	assert_int_equal(waitpid(starter, status, 0), starter);
	assert_true(waitpid(-1, daemon_status, 0) > 0);
	assert_true(WIFEXITED(*status));
}

static void hang(int report)
{
	(void)report;
	for (;;)
		pause();
}

static void a_daemon_that_hangs_is_killed(void **state)
{
	int status, daemon_status;

	(void)state;
	start(hang, &status, &daemon_status);
	assert_int_equal(WEXITSTATUS(status), EXIT_NOT_STARTED);
	assert_true(WIFSIGNALED(daemon_status));
	assert_int_equal(WTERMSIG(daemon_status), SIGKILL);
}

static void end_early(int report)
{
	(void)report;
	_exit(42);
}

static void a_daemon_that_ends_early_is_an_error(void **state)
{
	int status, daemon_status;

	(void)state;
	start(end_early, &status, &daemon_status);
	assert_int_equal(WEXITSTATUS(status), EXIT_NOT_STARTED);
	assert_true(WIFEXITED(daemon_status));
	assert_int_equal(WEXITSTATUS(daemon_status), 42);
}

static void report_late(int report)
{
	const struct timespec wait = { .tv_nsec = TIMEOUT_START / 2 * 10000000 };

	nanosleep(&wait, NULL);
	daemon_report_serving(report, "nothing");
	_exit(42);
}

static void a_daemon_that_serves_in_time_is_none(void **state)
{
	int status, daemon_status;

	(void)state;
	start(report_late, &status, &daemon_status);
	assert_int_equal(WEXITSTATUS(status), EXIT_SERVING);
	assert_true(WIFEXITED(daemon_status));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_daemon_that_hangs_is_killed),
		cmocka_unit_test(a_daemon_that_ends_early_is_an_error),
		cmocka_unit_test(a_daemon_that_serves_in_time_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
