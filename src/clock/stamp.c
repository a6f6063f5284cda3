#include "clock/stamp.h"

#include <string.h>

bool stamp_enable(int fd)
{
	const int on = 1;

	return setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof(on)) == 0;
}

bool stamp_read(const struct cmsghdr *control, struct timespec *stamp)
{
	if (control->cmsg_level != SOL_SOCKET || control->cmsg_type != SCM_TIMESTAMPNS)
		return false;
	memcpy(stamp, CMSG_DATA(control), sizeof(*stamp));
	return true;
}

bool stamp_find(struct msghdr *message, struct timespec *stamp)
{
	struct cmsghdr *control = CMSG_FIRSTHDR(message);

	while (control && !stamp_read(control, stamp))
		control = CMSG_NXTHDR(message, control);
	return control != NULL;
}
