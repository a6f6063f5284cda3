#include "base/shm.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"

#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif

/* Without them a process could truncate the memory while another reads it. */
#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW)

/* Before Linux 5.1, which has F_SEAL_FUTURE_WRITE, a descriptor opened for reading takes the place
 * of *fd. Without /proc there is none: *fd becomes -1. */
static void reopen_for_reading(int *fd)
{
	char path[32];
	int readable;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", *fd);
	readable = open(path, O_RDONLY | O_CLOEXEC);
	fd_close(fd);
	*fd = readable;
}

static bool seal(int *fd, enum shm_access access)
{
	int seals = SEALS | F_SEAL_SEAL;

	if (access == SHM_WRITE)
		return fcntl(*fd, F_ADD_SEALS, seals) == 0;
	if (fcntl(*fd, F_ADD_SEALS, seals | F_SEAL_FUTURE_WRITE) == 0)
		return true;
	if (fcntl(*fd, F_ADD_SEALS, seals) < 0)
		return false;
	reopen_for_reading(fd);
	return true;
}

void *shm_create(size_t size, enum shm_access access, int *fd)
{
	void *memory = MAP_FAILED;

	*fd = memfd_create("timeserver", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (*fd >= 0 && ftruncate(*fd, (off_t)size) == 0)
		memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 0);
	if (memory != MAP_FAILED && seal(fd, access))
		return memory;
	if (memory != MAP_FAILED)
		munmap(memory, size);
	fd_close(fd);
	return NULL;
}

void *shm_map(int fd, size_t size, enum shm_access access)
{
	int protection = PROT_READ | (access == SHM_WRITE ? PROT_WRITE : 0);
	struct stat status;
	void *memory;

	if (fstat(fd, &status) < 0)
		return NULL;
	if ((size_t)status.st_size != size || (fcntl(fd, F_GET_SEALS) & SEALS) != SEALS) {
		errno = EPROTO;
		return NULL;
	}
	memory = mmap(NULL, size, protection, MAP_SHARED, fd, 0);
	return memory == MAP_FAILED ? NULL : memory;
}
