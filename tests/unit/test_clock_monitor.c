/* The clock monitor, with a kernel clock that the test controls. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"
#include "server/clock/clock_monitor.h"

/* The kernel clock of the test, which adjtimex() below returns; a negative result is an errno. */
static pthread_mutex_t kernel_lock = PTHREAD_MUTEX_INITIALIZER;
static int kernel_status, kernel_result;
static long kernel_maxerror;
static atomic_uint kernel_reads;

/* NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name): reserved in the library */
int adjtimex(struct timex *kernel)
{
	int result;

	assert_int_equal(kernel->modes, 0); /* the clock is only read */
	memset(kernel, 0, sizeof(*kernel));
	pthread_mutex_lock(&kernel_lock);
	kernel->status = kernel_status;
	kernel->maxerror = kernel_maxerror;
	result = kernel_result;
	pthread_mutex_unlock(&kernel_lock);
	kernel_reads++;
	if (result >= 0)
		return result;
	errno = -result;
	return -1;
}

static void set_kernel(int status, int result, long maxerror)
{
	pthread_mutex_lock(&kernel_lock);
	kernel_status = status;
	kernel_result = result;
	kernel_maxerror = maxerror;
	pthread_mutex_unlock(&kernel_lock);
}

static struct stats stats;
static struct clock_monitor monitor;

static int end(void **state)
{
	(void)state;
	clock_monitor_stop(&monitor);
	assert_false(monitor.running);
	clock_monitor_stop(&monitor);
	return 0;
}

static void start(enum clock_source source, const char *host)
{
	struct config_clock config = { .source = source, .stratum = 7, .port = 123 };
	struct failure failure;

	memset(&stats, 0, sizeof(stats));
	strcpy(config.host, host);
	assert_true(clock_monitor_start(&monitor, &config, &stats, &failure));
}

static struct clock_state read_state(void)
{
	struct clock_state state;

	clock_state_read(&stats.clock, clock_monotonic(), &state);
	return state;
}

/* Waits up to 10 s for a state with this leap indicator and stratum. */
static struct clock_state wait_for(uint8_t leap, uint8_t stratum)
{
	struct clock_state state = read_state();

	for (int i = 0; i < 10000 && (state.leap != leap || state.stratum != stratum); i++) {
		usleep(1000);
		state = read_state();
	}
	assert_int_equal(state.leap, leap);
	assert_int_equal(state.stratum, stratum);
	return state;
}

static void the_first_state_is_published_at_the_start(void **state)
{
	(void)state;
	set_kernel(0, TIME_OK, 1000);
	start(CLOCK_SOURCE_SYSTEM, "");
	assert_int_equal(read_state().stratum, CLOCK_SYSTEM_STRATUM);
	clock_monitor_stop(&monitor);
	set_kernel(STA_UNSYNC, TIME_ERROR, 16000000);
	start(CLOCK_SOURCE_SYSTEM, "");
	assert_int_equal(read_state().reference_id, CLOCK_REFERENCE_INIT);
	clock_monitor_stop(&monitor);
	start(CLOCK_SOURCE_LOCAL, "");
	assert_int_equal(read_state().stratum, 7);
	clock_monitor_stop(&monitor);
	start(CLOCK_SOURCE_FOLLOW, "127.0.0.1");
	assert_int_equal(read_state().reference_id, CLOCK_REFERENCE_INIT);
}

static void changes_of_the_kernel_clock_are_published(void **state)
{
	(void)state;
	set_kernel(0, TIME_OK, 1000);
	start(CLOCK_SOURCE_SYSTEM, "");
	set_kernel(STA_INS, TIME_INS, 1000);
	wait_for(CLOCK_LEAP_INSERT, CLOCK_SYSTEM_STRATUM);
	set_kernel(STA_DEL, TIME_DEL, 1000);
	wait_for(CLOCK_LEAP_DELETE, CLOCK_SYSTEM_STRATUM);
	set_kernel(STA_INS, TIME_OOP, 1000);
	assert_int_equal(wait_for(CLOCK_LEAP_UNKNOWN, 0).reference_id, CLOCK_REFERENCE_STEP);
	set_kernel(STA_INS, TIME_WAIT, 1000);
	wait_for(CLOCK_LEAP_NONE, CLOCK_SYSTEM_STRATUM);
	set_kernel(STA_UNSYNC, TIME_ERROR, 1000);
	assert_int_equal(wait_for(CLOCK_LEAP_UNKNOWN, 0).reference_id, CLOCK_REFERENCE_INIT);
}

/* A correction shows as a smaller error bound. */
static void the_reference_time_is_that_of_a_correction(void **state)
{
	struct clock_state before, now;

	(void)state;
	set_kernel(0, TIME_OK, 1000);
	start(CLOCK_SOURCE_SYSTEM, "");
	before = read_state();
	set_kernel(STA_INS, TIME_INS, 2000);
	now = wait_for(CLOCK_LEAP_INSERT, CLOCK_SYSTEM_STRATUM);
	assert_int_equal(now.reference_time, before.reference_time);
	assert_true(now.root_dispersion > before.root_dispersion);
	set_kernel(0, TIME_OK, 1500);
	now = wait_for(CLOCK_LEAP_NONE, CLOCK_SYSTEM_STRATUM);
	assert_true((clock_ntp_span)(now.reference_time - before.reference_time) > 0);
}

/* During a leap second no clock is trusted, whatever its source: it repeats a second. */
static void a_leap_second_unsynchronises_every_source(void **state)
{
	(void)state;
	set_kernel(STA_UNSYNC, TIME_ERROR, 0);
	start(CLOCK_SOURCE_LOCAL, "");
	assert_int_equal(read_state().stratum, 7);
	set_kernel(STA_INS, TIME_OOP, 0);
	wait_for(CLOCK_LEAP_UNKNOWN, 0);
	set_kernel(STA_INS, TIME_WAIT, 0);
	wait_for(CLOCK_LEAP_NONE, 7);
}

static void a_quiet_clock_costs_little(void **state)
{
	unsigned before;

	(void)state;
	set_kernel(0, TIME_OK, 1000);
	start(CLOCK_SOURCE_SYSTEM, "");
	before = kernel_reads;
	usleep(1000000);
	assert_in_range(kernel_reads - before, 1, 30);
}

/* The signals that a thread of this process blocks, from /proc. */
static unsigned long long blocked_by_thread(const char *thread)
{
	unsigned long long blocked = 0;
	char path[64], line[128];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/task/%.16s/status", thread);
	file = fopen(path, "re");
	assert_non_null(file);
	while (fgets(line, sizeof(line), file)) {
		if (strncmp(line, "SigBlk:", 7) == 0)
			blocked = strtoull(line + 7, NULL, 16);
	}
	fclose(file);
	return blocked;
}

/* The monitor's thread is the last one in /proc/self/task, which has the order of creation. */
static unsigned long long blocked_by_monitor(void)
{
	DIR *tasks = opendir("/proc/self/task");
	struct dirent *entry;
	char last[32] = "";

	assert_non_null(tasks);
	while ((entry = readdir(tasks)))
		snprintf(last, sizeof(last), "%.16s", entry->d_name);
	closedir(tasks);
	return blocked_by_thread(last);
}

static void the_monitor_blocks_all_signals(void **state)
{
	const int signals[] = { SIGTERM, SIGINT, SIGHUP, SIGPIPE, SIGUSR1, SIGALRM };
	sigset_t before, after;

	(void)state;
	pthread_sigmask(SIG_SETMASK, NULL, &before);
	set_kernel(0, TIME_OK, 1000);
	start(CLOCK_SOURCE_SYSTEM, "");
	pthread_sigmask(SIG_SETMASK, NULL, &after);
	set_kernel(STA_INS, TIME_INS, 1000);
	wait_for(CLOCK_LEAP_INSERT,
		 CLOCK_SYSTEM_STRATUM); /* a new thread has its mask when it runs */
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
		assert_int_equal(sigismember(&after, signals[i]), sigismember(&before, signals[i]));
		assert_true(blocked_by_monitor() >> (signals[i] - 1) & 1);
	}
}

static void the_kernel_clock_is_read_before_the_monitor_runs(void **state)
{
	(void)state;
	set_kernel(0, TIME_OK, 1000);
	assert_int_equal(clock_monitor_check_kernel(), CLOCK_MONITOR_KERNEL_SYNCHRONISED);
	set_kernel(STA_UNSYNC, TIME_ERROR, 1000);
	assert_int_equal(clock_monitor_check_kernel(), CLOCK_MONITOR_KERNEL_UNSYNCHRONISED);
	set_kernel(0, -EPERM, 1000);
	assert_int_equal(clock_monitor_check_kernel(), CLOCK_MONITOR_KERNEL_REFUSES);
}

/* As in a container; a refusal says nothing about the clock. */
static void a_refusal_has_its_own_reason(void **state)
{
	static const struct {
		int error;
		const char *detail;
	} rows[] = {
		{ EPERM, " (Operation not permitted)" },
		{ ENOSYS, " (Function not implemented)" },
		{ EFAULT, "" },
	};
	const char *common =
		"the kernel refuses adjtimex, which tells whether its clock is synchronised";
	struct stats_reason reason;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		set_kernel(0, -rows[i].error, 0);
		start(CLOCK_SOURCE_SYSTEM, "");
		assert_int_equal(read_state().leap, CLOCK_LEAP_UNKNOWN);
		stats_read_reason(&stats, &reason);
		assert_memory_equal(reason.text, common, strlen(common));
		assert_string_equal(reason.text + strlen(common), rows[i].detail);
		clock_monitor_stop(&monitor);
		start(CLOCK_SOURCE_LOCAL, "");
		assert_int_equal(read_state().stratum, 7);
		clock_monitor_stop(&monitor);
	}
}

/* The records that a pipe has got. */
static unsigned count_records(int reader)
{
	char text[10000];
	ssize_t size = read(reader, text, sizeof(text));
	unsigned count = 0;

	for (ssize_t i = 0; i < size; i++)
		count += text[i] == '\n';
	return count;
}

static void a_clock_that_changes_all_the_time_fills_no_log(void **state)
{
	int pipes[2], standard_error = dup(STDERR_FILENO);

	(void)state;
	assert_int_equal(pipe2(pipes, O_NONBLOCK | O_CLOEXEC), 0);
	assert_int_equal(dup2(pipes[1], STDERR_FILENO), STDERR_FILENO);
	set_kernel(0, TIME_OK, 1000);
	start(CLOCK_SOURCE_SYSTEM, "");
	for (int i = 0; i < 10; i++) {
		set_kernel(STA_UNSYNC, TIME_ERROR, 1000);
		wait_for(CLOCK_LEAP_UNKNOWN, 0);
		set_kernel(0, TIME_OK, 1000);
		wait_for(CLOCK_LEAP_NONE, CLOCK_SYSTEM_STRATUM);
	}
	clock_monitor_stop(&monitor);
	dup2(standard_error, STDERR_FILENO);
	assert_in_range(count_records(pipes[0]), 2, 9); /* 6, and one more in 10 seconds */
	close(pipes[0]);
	close(pipes[1]);
	close(standard_error);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(the_first_state_is_published_at_the_start, end),
		cmocka_unit_test_teardown(changes_of_the_kernel_clock_are_published, end),
		cmocka_unit_test_teardown(the_reference_time_is_that_of_a_correction, end),
		cmocka_unit_test_teardown(a_leap_second_unsynchronises_every_source, end),
		cmocka_unit_test_teardown(a_quiet_clock_costs_little, end),
		cmocka_unit_test_teardown(the_monitor_blocks_all_signals, end),
		cmocka_unit_test(the_kernel_clock_is_read_before_the_monitor_runs),
		cmocka_unit_test_teardown(a_refusal_has_its_own_reason, end),
		cmocka_unit_test_teardown(a_clock_that_changes_all_the_time_fills_no_log, end),
	};

	log_open("test", LOG_TO_TERMINAL, LOG_DAEMON, false);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
