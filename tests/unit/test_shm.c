/* Shared memory, and snapshots in it. */
#include <pthread.h>
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

static void read_only_memory_is_shared_and_sealed(void **state)
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

static void writable_memory_is_shared(void **state)
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

/* A closed descriptor, another kind of file, another size, or no seal on the size. */
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

static void expect_not_created(size_t size)
{
	int next = dup(0), fd = 0;

	errno = 0;
	assert_null(shm_create(size, SHM_READ, &fd));
	assert_int_not_equal(errno, 0);
	assert_int_equal(fd, -1);
	close(next);
	assert_int_equal(dup(0), next); /* no descriptor is left open */
	close(next);
}

static void a_failed_creation_leaves_no_descriptor_open(void **state)
{
	struct rlimit before, none = { 0 };
	int fd = 0;

	(void)state;
	expect_not_created(SIZE_MAX - 4095); /* not a valid file size */
	expect_not_created((size_t)INT64_MAX);
	getrlimit(RLIMIT_NOFILE, &before);
	none.rlim_max = before.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	errno = 0;
	assert_null(shm_create(SIZE, SHM_READ, &fd));
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_int_equal(errno, EMFILE);
	assert_int_equal(fd, -1);
}

/* For any size: the last word may be used only in part. */
static void a_snapshot_is_read_as_it_was_published(void **state)
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

/* Long enough that others are published while it is read. */
#define WORDS	     512
#define PUBLICATIONS 200000

static atomic_uint long_sequence;
static _Atomic uint64_t long_slots[2 * WORDS];

/* Each value has its number in all words. */
static void *publish_all(void *unused)
{
	uint64_t value[WORDS];

	(void)unused;
	for (uint64_t number = 1; number <= PUBLICATIONS; number++) {
		for (size_t i = 0; i < WORDS; i++)
			value[i] = number;
		snapshot_publish(&long_sequence, long_slots, value, sizeof(value));
	}
	return NULL;
}

static void a_long_snapshot_is_not_torn(void **state)
{
	uint64_t value[WORDS] = { 0 };
	pthread_t publisher;

	(void)state;
	assert_int_equal(pthread_create(&publisher, NULL, publish_all, NULL), 0);
	while (value[0] < PUBLICATIONS) {
		snapshot_read(&long_sequence, long_slots, value, sizeof(value));
		for (size_t i = 1; i < WORDS; i++)
			assert_int_equal(value[i], value[0]);
	}
	pthread_join(publisher, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(read_only_memory_is_shared_and_sealed),
		cmocka_unit_test(writable_memory_is_shared),
		cmocka_unit_test(other_memory_is_refused),
		cmocka_unit_test(a_failed_creation_leaves_no_descriptor_open),
		cmocka_unit_test(a_snapshot_is_read_as_it_was_published),
		cmocka_unit_test(a_long_snapshot_is_not_torn),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
