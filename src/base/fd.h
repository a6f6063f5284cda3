/* File descriptors. */
#ifndef BASE_FD_H
#define BASE_FD_H

#include <unistd.h>

/* Closes a descriptor unless it is -1, and sets it to -1. Keeps no errno. */
static inline void fd_close(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* Takes a descriptor out of its variable, which becomes -1. */
static inline int fd_move(int *fd)
{
	int moved = *fd;

	*fd = -1;
	return moved;
}

/* Closes every descriptor from first on. Without close_range(2) it reads their numbers from /proc;
 * without /proc it tries all numbers below the hard limit on open files, but at most 65,536. */
void fd_close_from(int first);

#endif
