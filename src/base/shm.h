/* Anonymous shared memory of a fixed size, passed between processes as a descriptor. */
#ifndef BASE_SHM_H
#define BASE_SHM_H

#include <stdbool.h>
#include <stddef.h>

enum shm_access {
	SHM_READ,
	SHM_WRITE,
};

/* Creates size bytes of zeros, writable for this process, with their descriptor in *fd; -1: this
 * system cannot restrict it, and it is not to be passed. Later maps have at most this access.
 * Returns NULL with errno. */
void *shm_create(size_t size, enum shm_access access, int *fd);

/* Maps memory of another process. Returns NULL with errno: EPROTO if its size differs or is not
 * sealed. The descriptor stays the caller's. */
void *shm_map(int fd, size_t size, enum shm_access access);

#endif
