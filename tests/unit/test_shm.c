/* Memory that processes share, and messages that are read while they change. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/shm.h"
#include "base/snapshot.h"

#define SIZE 10000

static void memory_is_shared_and_cannot_be_taken_away(void **state)
{
	uint8_t *mine, *theirs;
	int fd;

	(void)state;
	mine = shm_create(SIZE, SHM_READ, &fd);
	assert_non_null(mine);
	assert_null(shm_map(fd, SIZE, SHM_WRITE));
	assert_int_equal(errno, EPERM);
	theirs = shm_map(fd, SIZE, SHM_READ);
	assert_non_null(theirs);
	mine[SIZE - 1] = 7;
	assert_int_equal(theirs[SIZE - 1], 7);
	assert_int_equal(ftruncate(fd, 0), -1);
	munmap(mine, SIZE);
	munmap(theirs, SIZE);
	close(fd);
}

static void memory_is_written_by_both_if_that_was_meant(void **state)
{
	uint8_t *mine, *theirs;
	int fd;

	(void)state;
	mine = shm_create(SIZE, SHM_WRITE, &fd);
	assert_non_null(mine);
	theirs = shm_map(fd, SIZE, SHM_WRITE);
	assert_non_null(theirs);
	theirs[0] = 7;
	assert_int_equal(mine[0], 7);
	munmap(mine, SIZE);
	munmap(theirs, SIZE);
	close(fd);
}

static void expect_refused(int fd, int error)
{
	errno = 0;
	assert_null(shm_map(fd, SIZE, SHM_READ));
	assert_int_equal(errno, error);
}

/* What is not there, is no file of this kind, has another size, or could still be given one. */
static void other_memory_is_refused(void **state)
{
	int changeable = memfd_create("test", MFD_CLOEXEC);
	int pipes[2], fd;
	void *mine = shm_create(SIZE + 1, SHM_READ, &fd);

	(void)state;
	assert_int_equal(pipe(pipes), 0);
	assert_int_equal(ftruncate(changeable, SIZE), 0);
	expect_refused(-1, EBADF);
	expect_refused(pipes[0], EPROTO);
	expect_refused(changeable, EPROTO);
	expect_refused(fd, EPROTO);
	close(pipes[0]);
	close(pipes[1]);
	close(changeable);
	close(fd);
	munmap(mine, SIZE + 1);
}

static void expect_not_made(size_t size)
{
	int next = dup(0), fd = 0;

	errno = 0;
	assert_null(shm_create(size, SHM_READ, &fd));
	assert_int_not_equal(errno, 0);
	assert_int_equal(fd, -1);
	close(next);
	assert_int_equal(dup(0), next); /* nothing was left open */
	close(next);
}

static void memory_that_cannot_be_had_leaves_nothing_open(void **state)
{
	struct rlimit before, none = { 0 };
	int fd = 0;

	(void)state;
	expect_not_made(SIZE_MAX - 4095); /* no size of a file, or more than can be mapped */
	expect_not_made((size_t)INT64_MAX);
	getrlimit(RLIMIT_NOFILE, &before);
	none.rlim_max = before.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	errno = 0;
	assert_null(shm_create(SIZE, SHM_READ, &fd));
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_int_equal(errno, EMFILE);
	assert_int_equal(fd, -1);
}

/* Of any size: the last word of a message may be needed only in part. */
static void a_message_is_read_as_it_was_published(void **state)
{
	static const char text[] = "what is published is read";
	_Atomic uint64_t places[2 * SNAPSHOT_WORDS(sizeof(text))] = { 0 };
	atomic_uint sequence = 0;
	char read[sizeof(text) + 1];

	(void)state;
	for (size_t size = 1; size <= sizeof(text); size++) {
		memset(read, '~', sizeof(read));
		snapshot_publish(&sequence, places, text, size);
		snapshot_read(&sequence, places, read, size);
		assert_memory_equal(read, text, size);
		assert_int_equal(read[size], '~');
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(memory_is_shared_and_cannot_be_taken_away),
		cmocka_unit_test(memory_is_written_by_both_if_that_was_meant),
		cmocka_unit_test(other_memory_is_refused),
		cmocka_unit_test(memory_that_cannot_be_had_leaves_nothing_open),
		cmocka_unit_test(a_message_is_read_as_it_was_published),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
