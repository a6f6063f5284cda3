/* Files planted in the place of the pid file, also between two system calls. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "server/process/pidfile.h"

#define NOBODY 65534

#ifdef SYS_fcntl64
#define REAL_FCNTL SYS_fcntl64
#else
#define REAL_FCNTL SYS_fcntl
#endif

static char directory[] = "/tmp/pidfile-XXXXXX";
static char path[64], other[64];

/* Called once, after the look at the path, or before the lock of the opened file. */
static void (*after_look)(void), (*before_lock)(void);

static void call_once(void (**function)(void))
{
	void (*once)(void) = *function;

	*function = NULL;
	if (once)
		once();
}

/* NOLINTBEGIN(readability-inconsistent-declaration-parameter-name): reserved in the library */

int lstat(const char *file, struct stat *status)
{
	int result = fstatat(AT_FDCWD, file, status, AT_SYMLINK_NOFOLLOW), error = errno;

	call_once(&after_look);
	errno = error;
	return result;
}

int fcntl(int fd, int command, ...)
{
	va_list arguments;
	void *argument;

	va_start(arguments, command);
	argument = va_arg(arguments, void *);
	va_end(arguments);
	if (command == F_OFD_SETLK)
		call_once(&before_lock);
	return (int)syscall(REAL_FCNTL, fd, command, argument);
}

/* NOLINTEND(readability-inconsistent-declaration-parameter-name) */

static void write_file(const char *file, const char *text)
{
	int fd = open(file, O_WRONLY | O_CREAT | O_EXCL, 0600);

	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static int begin(void **state)
{
	(void)state;
	strcpy(directory + strlen(directory) - 6, "XXXXXX");
	if (!mkdtemp(directory))
		return -1;
	snprintf(path, sizeof(path), "%s/t.pid", directory);
	snprintf(other, sizeof(other), "%s/other", directory);
	return 0;
}

static int end(void **state)
{
	(void)state;
	after_look = before_lock = NULL;
	unlink(path);
	unlink(other);
	return rmdir(directory);
}

/* The reason why the file is refused. */
static const char *refusal(void)
{
	static struct failure failure;
	struct pidfile pidfile;

	assert_false(pidfile_take(&pidfile, path, &failure));
	return strrchr(failure.text, ':') + 2;
}

static void assert_content(const char *file, const char *wanted)
{
	char text[64] = "";
	int fd = open(file, O_RDONLY);

	assert_true(read(fd, text, sizeof(text) - 1) >= 0);
	close(fd);
	assert_string_equal(text, wanted);
}

static void assert_taken(void)
{
	struct stat held, named;
	struct failure failure;
	struct pidfile pidfile;

	assert_true(pidfile_take(&pidfile, path, &failure));
	assert_int_equal(fstat(pidfile.fd, &held), 0);
	assert_int_equal(fstatat(AT_FDCWD, path, &named, 0), 0);
	assert_int_equal(held.st_ino, named.st_ino);
	assert_int_equal(fcntl(pidfile.fd, F_GETFD, NULL), FD_CLOEXEC);
	pidfile_release(&pidfile);
	assert_int_equal(access(path, F_OK), -1);
}

static void a_new_file_is_taken_and_removed(void **state)
{
	(void)state;
	assert_taken();
	write_file(path, "4711\n");
	assert_taken();
}

static void plant_link(void)
{
	assert_int_equal(symlink(other, path), 0);
}

static void a_link_is_not_followed(void **state)
{
	(void)state;
	write_file(other, "1\n");
	plant_link();
	assert_string_equal(refusal(), "is a symbolic link");
	assert_content(other, "1\n");
}

static void a_link_that_was_planted_after_the_look_is_not_followed(void **state)
{
	(void)state;
	write_file(other, "1\n");
	after_look = plant_link;
	assert_string_equal(refusal(), strerror(ELOOP));
	assert_content(other, "1\n");
}

static void plant_file_of_another_user(void)
{
	write_file(path, "1\n");
	assert_int_equal(chown(path, NOBODY, NOBODY), 0);
}

static void a_file_of_another_user_is_refused(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	plant_file_of_another_user();
	assert_string_equal(refusal(), "belongs to another user");
	assert_content(path, "1\n");
}

static void a_file_of_another_user_that_was_planted_after_the_look_is_refused(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	after_look = plant_file_of_another_user;
	assert_string_equal(refusal(), "belongs to another user");
	assert_content(path, "1\n");
}

/* Its other name may be that of a file which nobody may write to. */
static void a_file_with_two_names_is_refused(void **state)
{
	(void)state;
	write_file(other, "1\n");
	assert_int_equal(link(other, path), 0);
	assert_string_equal(refusal(), "has more than one hard link");
	assert_content(other, "1\n");
}

static void a_file_with_other_content_is_refused(void **state)
{
	(void)state;
	write_file(path, "the work of a year\n");
	assert_string_equal(refusal(), "has other content than a process ID");
	assert_content(path, "the work of a year\n");
}

static void plant_fifo(void)
{
	assert_int_equal(mkfifo(path, 0600), 0);
}

static void a_fifo_blocks_nothing(void **state)
{
	(void)state;
	after_look = plant_fifo;
	assert_string_equal(refusal(), "is a FIFO");
	assert_string_equal(refusal(), "is a FIFO");
}

/* As the previous daemon does at its end. */
static void remove_file(void)
{
	assert_int_equal(unlink(path), 0);
}

static void exchange_file(void)
{
	remove_file();
	write_file(path, "");
}

static void a_file_that_was_removed_before_the_lock_is_created_again(void **state)
{
	(void)state;
	before_lock = remove_file;
	assert_taken();
	before_lock = exchange_file;
	assert_taken();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_new_file_is_taken_and_removed, begin, end),
		cmocka_unit_test_setup_teardown(a_link_is_not_followed, begin, end),
		cmocka_unit_test_setup_teardown(
			a_link_that_was_planted_after_the_look_is_not_followed, begin, end),
		cmocka_unit_test_setup_teardown(a_file_of_another_user_is_refused, begin, end),
		cmocka_unit_test_setup_teardown(
			a_file_of_another_user_that_was_planted_after_the_look_is_refused, begin,
			end),
		cmocka_unit_test_setup_teardown(a_file_with_two_names_is_refused, begin, end),
		cmocka_unit_test_setup_teardown(a_file_with_other_content_is_refused, begin, end),
		cmocka_unit_test_setup_teardown(a_fifo_blocks_nothing, begin, end),
		cmocka_unit_test_setup_teardown(
			a_file_that_was_removed_before_the_lock_is_created_again, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
