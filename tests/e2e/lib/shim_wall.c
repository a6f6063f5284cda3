/* For LD_PRELOAD: the system clock is off by the nanoseconds in the file whose name is that of the
 * library with ".state", which a test may change: a clock that is set. That of the machine stays as
 * it is. The web process has no variable that could name another file. */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#ifdef SYS_clock_gettime64 /* with 32 bits */
#define GETTIME SYS_clock_gettime64
#else
#define GETTIME SYS_clock_gettime
#endif

#define SECOND INT64_C(1000000000)

static const volatile int64_t *wall;

__attribute__((constructor)) static void map_wall(void)
{
	char path[4096];
	int fd;

	snprintf(path, sizeof(path), "%s.state", getenv("LD_PRELOAD"));
	fd = open(path, O_RDONLY | O_CLOEXEC);
	wall = mmap(NULL, sizeof(*wall), PROT_READ, MAP_SHARED, fd, 0);
	if (wall == MAP_FAILED)
		abort();
	close(fd);
}

/* The C library declares them with reserved names.
 * NOLINTBEGIN(readability-inconsistent-declaration-parameter-name) */
int clock_gettime(clockid_t clock, struct timespec *now)
{
	int64_t nanoseconds;
	int result = (int)syscall(GETTIME, clock, now);

	if (clock != CLOCK_REALTIME || result != 0)
		return result;
	nanoseconds = now->tv_sec * SECOND + now->tv_nsec + *wall;
	now->tv_sec = nanoseconds / SECOND;
	now->tv_nsec = nanoseconds % SECOND;
	return 0;
}

time_t time(time_t *now)
{
	struct timespec precise;

	clock_gettime(CLOCK_REALTIME, &precise);
	if (now)
		*now = precise.tv_sec;
	return precise.tv_sec;
}
/* NOLINTEND(readability-inconsistent-declaration-parameter-name) */
