/* Supervised child processes: the test program is executed again in several roles. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/role.h"
#include "base/sandbox.h"
#include "clock/clock.h"
#include "server/process/child.h"

#define NUMBER	    4711
#define NUMBER_TEXT "4711"

static int report[2]; /* a pipe; each child gets the writing end */
static struct counter starts, crashes;

static int pass(void *context, struct child_args *args)
{
	child_args_add_fd(args, report[1]);
	child_args_add_number(args, NUMBER);
	return context ? *(int *)context : 0;
}

static int pass_too_much(void *context, struct child_args *args)
{
	(void)context;
	for (int i = 0; i < 100; i++)
		child_args_add_number(args, 1);
	return 0;
}

static const struct child_role good = { "good", "good process", pass };
static const struct child_role bad = { "bad", "bad process", pass };
static const struct child_role silent = { "silent", "silent process", pass };
static const struct child_role hanging = { "hanging", "hanging process", pass };
static const struct child_role greedy = { "good", "greedy process", pass_too_much };

/* The main function of a role. */
static int play(const char *name, char **words)
{
	struct pollfd readable;
	struct role role;
	char text[64];
	int fd, number;

	role_begin(&role, "child-test", words);
	fd = role_take_fd(&role);
	number = role_take_number(&role);
	if (strcmp(name, "silent") == 0)
		return 1;
	if (strcmp(name, "bad") == 0) {
		role_send(&role, "no reason");
		return 1;
	}
	if (!role.valid || *role.words)
		return 2;
	snprintf(text, sizeof(text), "%d", number);
	(void)!write(fd, text, strlen(text) + 1);
	role_send(&role, ROLE_READY);
	while (strcmp(name, "hanging") == 0)
		pause();
	readable = (struct pollfd){ .fd = role.supervisor_fd, .events = POLLIN };
	do {
		poll(&readable, 1, -1);
	} while (role_reply_ping(&role));
	return 0;
}

static struct child open_child(const struct child_role *role)
{
	struct child child;

	/* Under valgrind /proc/self/exe, which a child is to execute, is valgrind. */
	if (getenv("UNIT_TEST_WRAPPER"))
		skip();
	child_open(&child, role, NULL, &starts, &crashes);
	counter_set(&starts, 0);
	counter_set(&crashes, 0);
	assert_false(child_is_wanted(&child));
	assert_true(child_tick(&child, INT64_MAX - 1) == INT64_MAX);
	return child;
}

static void replace(struct child *child)
{
	char text[64] = "";
	struct failure failure;

	assert_true(child_replace(child, &failure));
	assert_true(child->process > 0 && child_is_wanted(child));
	assert_true(read(report[0], text, sizeof(text)) > 0);
	assert_string_equal(text, NUMBER_TEXT);
}

/* Waits until one of the processes ends. */
static pid_t reap(struct child *child)
{
	int status;
	pid_t process = waitpid(-1, &status, 0);

	assert_true(process > 0);
	assert_true(child_reap(child, process, status));
	assert_false(child_reap(child, process, status));
	return process;
}

static void close_child(struct child *child)
{
	child_release(child);
	child_wait_exit(child);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* no process is left */
}

static void a_process_gets_the_arguments_of_its_role(void **state)
{
	struct child child = open_child(&good);
	char link[64], path[64] = "";

	(void)state;
	replace(&child);
	for (int fd = 0; fd <= 2 && !sandbox_is_instrumented(); fd++) {
		snprintf(link, sizeof(link), "/proc/%ld/fd/%d", (long)child.process, fd);
		assert_int_equal(readlink(link, path, sizeof(path) - 1), strlen("/dev/null"));
		assert_string_equal(path, "/dev/null");
	}
	assert_int_equal(counter_read(&starts), 1);
	close_child(&child);
	assert_int_equal(counter_read(&crashes), 0);
}

static void a_failed_start_has_a_reason(void **state)
{
	static const struct {
		const struct child_role *role;
		const char *text;
	} cases[] = {
		{ &bad, "cannot start the bad process: no reason" },
		{ &silent, "cannot start the silent process: exited before it was ready" },
		{ &greedy, "cannot start the greedy process: Argument list too long" },
	};
	struct failure failure;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct child child = open_child(cases[i].role);

		assert_false(child_replace(&child, &failure));
		assert_string_equal(failure.text, cases[i].text);
		assert_true(child.process == 0 && child_is_wanted(&child));
		assert_true(child.restart_at <= clock_monotonic());
		close_child(&child);
	}
}

static void an_error_of_pass_fails_the_start(void **state)
{
	struct child child = open_child(&good);
	int error = ENFILE;
	struct failure failure;

	(void)state;
	child.context = &error;
	assert_false(child_replace(&child, &failure));
	assert_non_null(strstr(failure.text, strerror(ENFILE)));
	close_child(&child);
}

/* At once, after 0.2 s, after 0.4 s, and so on. */
static void restarts_back_off(void **state)
{
	struct child child = open_child(&good);
	int64_t delay = 0, now;

	(void)state;
	replace(&child);
	for (int i = 0; i < 4; i++) {
		kill(child.process, SIGKILL);
		now = clock_monotonic();
		reap(&child);
		assert_int_equal(counter_read(&crashes), i + 1);
		assert_true(child.process == 0 && child.supervisor_fd == -1);
		assert_true(child.restart_at - now >= delay);
		assert_true(child.restart_at - now < delay + CLOCK_SECOND / 10);
		assert_true(delay == 0 || child_tick(&child, now) == child.restart_at);
		assert_true(child.process == 0 || delay == 0);
		child_tick(&child, child.restart_at);
		assert_true(child.process != 0 && child.restart_at == INT64_MAX);
		delay = delay == 0 ? CLOCK_SECOND / 5 : 2 * delay;
	}
	assert_int_equal(counter_read(&starts), 5);
	child.started -= 11 * CLOCK_SECOND; /* as if it had run for longer */
	kill(child.process, SIGKILL);
	reap(&child);
	assert_true(child.restart_at <= clock_monotonic());
	close_child(&child);
}

static void the_new_process_serves_before_the_old_one_ends(void **state)
{
	struct child child = open_child(&good);
	pid_t first;

	(void)state;
	replace(&child);
	first = child.process;
	replace(&child);
	assert_true(child.process != first && child.previous == first);
	assert_int_equal(reap(&child), first);
	assert_int_equal(child.previous, 0);
	assert_int_equal(counter_read(&crashes), 0);
	close_child(&child);
}

static void a_failed_replacement_leaves_the_current_process(void **state)
{
	struct child child = open_child(&good);
	struct failure failure;
	pid_t first;

	(void)state;
	replace(&child);
	first = child.process;
	child.role = &bad;
	assert_false(child_replace(&child, &failure));
	assert_true(child.process == first && child.previous == 0);
	assert_true(child.restart_at <= clock_monotonic());
	child.role = &good;
	child_tick(&child, child.restart_at);
	assert_true(child.process != first && child.previous == first);
	close_child(&child);
}

static void a_hanging_process_is_killed(void **state)
{
	struct child child = open_child(&hanging);
	pid_t first;

	(void)state;
	replace(&child);
	first = child.process;
	for (int i = 0; i < 4; i++)
		child_tick(&child, child.ping_at);
	assert_int_equal(reap(&child), first);
	assert_int_equal(counter_read(&crashes), 1);
	close_child(&child);
}

static void a_serving_process_replies_to_pings(void **state)
{
	struct child child = open_child(&good);
	struct pollfd reply;

	(void)state;
	replace(&child);
	reply = (struct pollfd){ .fd = child.supervisor_fd, .events = POLLIN };
	for (int i = 0; i < 10; i++) {
		int64_t now = child.ping_at;

		assert_true(child_tick(&child, now) == now + 2 * CLOCK_SECOND);
		assert_int_equal(poll(&reply, 1, 5000), 1);
		assert_int_equal(child.missed_pings, 1);
	}
	close_child(&child);
}

static void a_replaced_process_that_hangs_is_killed(void **state)
{
	struct child child = open_child(&hanging);
	pid_t first;

	(void)state;
	replace(&child);
	first = child.process;
	child_stop(&child);
	assert_true(child.previous == first && !child_is_wanted(&child));
	assert_true(child_tick(&child, child.kill_at - 1) == child.kill_at);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), 0);
	assert_true(child_tick(&child, child.kill_at) == INT64_MAX);
	assert_int_equal(reap(&child), first);
	close_child(&child);
}

static void a_stop_does_not_wait_for_a_hanging_process(void **state)
{
	struct child child = open_child(&hanging);
	int64_t before;

	(void)state;
	replace(&child);
	before = clock_monotonic();
	close_child(&child);
	assert_true(clock_monotonic() - before < CLOCK_SECOND);
}

static void invalid_descriptors_are_refused(void **state)
{
	static char cases[][8] = { "", "x", "-1", "9999" };
	struct role role;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *words[] = { i > 0 ? cases[i] : NULL, NULL };

		role = (struct role){ .words = words, .valid = true };
		assert_int_equal(role_take_fd(&role), -1);
		assert_false(role.valid);
		assert_int_equal(role_take_number(&role), -1);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_process_gets_the_arguments_of_its_role),
		cmocka_unit_test(a_failed_start_has_a_reason),
		cmocka_unit_test(an_error_of_pass_fails_the_start),
		cmocka_unit_test(restarts_back_off),
		cmocka_unit_test(the_new_process_serves_before_the_old_one_ends),
		cmocka_unit_test(a_failed_replacement_leaves_the_current_process),
		cmocka_unit_test(a_hanging_process_is_killed),
		cmocka_unit_test(a_serving_process_replies_to_pings),
		cmocka_unit_test(a_replaced_process_that_hangs_is_killed),
		cmocka_unit_test(a_stop_does_not_wait_for_a_hanging_process),
		cmocka_unit_test(invalid_descriptors_are_refused),
	};

	if (argc > 2 && strncmp(argv[1], ROLE_OPTION, strlen(ROLE_OPTION)) == 0)
		_exit(play(argv[1] + strlen(ROLE_OPTION), argv + 2));
	if (pipe2(report, O_CLOEXEC) < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
