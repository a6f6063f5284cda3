/* For LD_PRELOAD: counts allocations, and makes one of them fail. The file whose name is that of
 * the library with ".state" has three 64-bit numbers: the allocations so far, the number of the
 * allocation to fail (0: none), and the allocations that are not freed. The web process has no
 * variable that could name another file. */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/* The functions of the C library, whose names are reserved.
 * NOLINTBEGIN(bugprone-reserved-identifier, readability-inconsistent-declaration-parameter-name) */
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *memory, size_t size);
extern void __libc_free(void *memory);
extern void *__libc_memalign(size_t alignment, size_t size);

struct counters {
	_Atomic uint64_t count, chosen, live;
};

static struct counters none;
static struct counters *counters = &none;

__attribute__((constructor)) static void open_counter(void)
{
	char path[4096];
	int fd;
	void *page;

	snprintf(path, sizeof(path), "%s.state", getenv("LD_PRELOAD"));
	fd = open(path, O_RDWR | O_CLOEXEC);
	page = mmap(NULL, sizeof(*counters), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (page != MAP_FAILED)
		counters = page;
	close(fd);
}

static bool fails(void)
{
	if (atomic_fetch_add(&counters->count, 1) + 1 != atomic_load(&counters->chosen)) {
		atomic_fetch_add(&counters->live, 1);
		return false;
	}
	errno = ENOMEM;
	return true;
}

void *malloc(size_t size)
{
	return fails() ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
	return fails() ? NULL : __libc_calloc(count, size);
}

void *realloc(void *memory, size_t size)
{
	if (fails())
		return NULL;
	if (memory)
		atomic_fetch_sub(&counters->live, 1);
	return __libc_realloc(memory, size);
}

void free(void *memory)
{
	if (memory)
		atomic_fetch_sub(&counters->live, 1);
	__libc_free(memory);
}

void *aligned_alloc(size_t alignment, size_t size)
{
	return fails() ? NULL : __libc_memalign(alignment, size);
}
/* NOLINTEND(bugprone-reserved-identifier, readability-inconsistent-declaration-parameter-name) */
