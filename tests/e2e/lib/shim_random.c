/* For LD_PRELOAD: getrandom(2) early at boot, when the kernel has no random numbers yet: it blocks,
 * or fails with GRND_NONBLOCK. */
#include <errno.h>
#include <sys/random.h>
#include <unistd.h>

/* The C library declares it with reserved names.
 * NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name) */
ssize_t getrandom(void *bytes, size_t size, unsigned flags)
{
	(void)bytes;
	(void)size;
	if (!(flags & GRND_NONBLOCK))
		sleep(3600); /* longer than any test */
	errno = EAGAIN;
	return -1;
}
