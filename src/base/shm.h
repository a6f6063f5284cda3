/* Memory that processes share: anonymous, of a size that nobody can change, passed on as a
 * descriptor. */
#ifndef BASE_SHM_H
#define BASE_SHM_H

#include <stdbool.h>
#include <stddef.h>

enum shm_access {
	SHM_READ,
	SHM_WRITE,
};

/* Makes size bytes of zeros, which this process can write, and stores their descriptor in *fd;
 * others may map it, once this is done, with access at most. Returns NULL with errno. */
void *shm_create(size_t size, enum shm_access access, int *fd);

/* Maps what another process made; NULL with errno, EPROTO if it has another size or could still be
 * given one. The descriptor stays the caller's. */
void *shm_map(int fd, size_t size, enum shm_access access);

#endif
