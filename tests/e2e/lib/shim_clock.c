/* For LD_PRELOAD: a kernel clock that the test controls. Its state is in the file named by KERNEL
 * ("status state maxerror"; a negative state is an errno), and each byte in the FIFO named by STEPS
 * is a step. The real clock is left alone. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/timex.h>
#include <unistd.h>

static int steps = -1;

static const char *path(const char *variable)
{
	const char *value = getenv(variable);

	return value ? value : "";
}

/* The C library declares them with reserved names.
 * NOLINTBEGIN(readability-inconsistent-declaration-parameter-name) */
int ntp_adjtime(struct timex *kernel)
{
	FILE *file = fopen(path("KERNEL"), "re");
	char text[64] = "", *rest = text;
	int state;

	memset(kernel, 0, sizeof(*kernel));
	if (!file)
		return TIME_ERROR;
	(void)!fgets(text, sizeof(text), file);
	kernel->status = (int)strtol(rest, &rest, 10);
	state = (int)strtol(rest, &rest, 10);
	kernel->maxerror = strtol(rest, NULL, 10);
	fclose(file);
	if (state >= 0)
		return state;
	errno = -state;
	return -1;
}

/* With a 64-bit time_t on 32 bits, the C library redirects both functions to one symbol. */
#if __TIMESIZE == 64
int adjtimex(struct timex *kernel)
{
	return ntp_adjtime(kernel);
}
#endif

int timerfd_create(clockid_t clock, int flags)
{
	if (clock != CLOCK_REALTIME)
		return (int)syscall(SYS_timerfd_create, clock, flags);
	steps = open(path("STEPS"), O_RDWR | O_NONBLOCK | O_CLOEXEC);
	return steps;
}

int timerfd_settime(int fd, int flags, const struct itimerspec *new, struct itimerspec *old)
{
	return fd == steps ? 0 : (int)syscall(SYS_timerfd_settime, fd, flags, new, old);
}

ssize_t read(int fd, void *buffer, size_t size)
{
	ssize_t got = syscall(SYS_read, fd, buffer, size);

	if (fd != steps || got <= 0)
		return got;
	errno = ECANCELED;
	return -1;
}
/* NOLINTEND(readability-inconsistent-declaration-parameter-name) */
