#include "base/fd.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <sys/resource.h>

#include "base/syscalls.h"
#include "base/text.h"

#define TRIED_MAX 65536

/* Returns false if /proc does not list all. A closed descriptor does not move those after it. */
static bool close_listed(int first)
{
	DIR *list = opendir("/proc/self/fd");
	struct dirent *entry;
	unsigned fd;
	bool complete;

	if (!list)
		return false;
	errno = 0;
	while ((entry = readdir(list)) != NULL) {
		if (text_to_number(entry->d_name, (unsigned)first, INT_MAX, &fd) &&
		    (int)fd != dirfd(list))
			close((int)fd);
		errno = 0;
	}
	complete = errno == 0;
	closedir(list);
	return complete;
}

static void close_tried(int first)
{
	struct rlimit limit;
	int end = TRIED_MAX;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_max < TRIED_MAX)
		end = (int)limit.rlim_max;
	for (int fd = first; fd < end; fd++)
		close(fd);
}

void fd_close_from(int first)
{
	if (syscall(SYS_close_range, first, ~0U, 0) < 0 && !close_listed(first))
		close_tried(first);
}
