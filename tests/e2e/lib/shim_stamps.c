/* For LD_PRELOAD: a kernel that does not know the control message SO_TIMESTAMPING. As the kernel
 * does, sendmmsg() sends what is before such a message and then fails with EINVAL. Each refusal is
 * a byte in the file named by REFUSALS. */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static bool asks_for_stamp(struct msghdr *message)
{
	struct cmsghdr *control = CMSG_FIRSTHDR(message);

	for (; control; control = CMSG_NXTHDR(message, control)) {
		if (control->cmsg_level == SOL_SOCKET && control->cmsg_type == SO_TIMESTAMPING)
			return true;
	}
	return false;
}

static void note_refusal(void)
{
	const char *path = getenv("REFUSALS");
	int fd = path ? open(path, O_WRONLY | O_APPEND | O_CLOEXEC) : -1;

	if (fd >= 0) {
		(void)!write(fd, "x", 1);
		close(fd);
	}
}

/* The C library declares them with reserved names.
 * NOLINTBEGIN(readability-inconsistent-declaration-parameter-name) */
int sendmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags)
{
	unsigned known = 0;

	while (known < count && !asks_for_stamp(&messages[known].msg_hdr))
		known++;
	if (known > 0 || count == 0)
		return (int)syscall(SYS_sendmmsg, fd, messages, known, flags);
	note_refusal();
	errno = EINVAL;
	return -1;
}
/* NOLINTEND(readability-inconsistent-declaration-parameter-name) */
