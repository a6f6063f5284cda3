#include "base/memory.h"

#include <link.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/sandbox.h"

/* Without /proc it is not known, and counts as true. */
static bool is_traced(void)
{
	FILE *file = fopen("/proc/self/status", "re");
	char line[128];
	bool traced = true;

	while (file && traced && fgets(line, sizeof(line), file))
		traced = strcmp(line, "TracerPid:\t0\n") != 0;
	if (file)
		fclose(file);
	return traced;
}

/* Then the dynamic linker has written to code, and its changes would be lost. */
static bool has_text_relocations(const ElfW(Dyn) * entry)
{
	for (; entry->d_tag != DT_NULL; entry++) {
		if (entry->d_tag == DT_TEXTREL ||
		    (entry->d_tag == DT_FLAGS && (entry->d_un.d_val & DF_TEXTREL)))
			return true;
	}
	return false;
}

static int release_object(struct dl_phdr_info *object, size_t size, void *unused)
{
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	const ElfW(Phdr) *segment = object->dlpi_phdr, *end = segment + object->dlpi_phnum;

	(void)size;
	(void)unused;
	for (; segment < end; segment++) {
		if (segment->p_type == PT_DYNAMIC &&
		    has_text_relocations((const void *)(object->dlpi_addr + segment->p_vaddr)))
			return 0;
	}
	for (segment = object->dlpi_phdr; segment < end; segment++) {
		uintptr_t first = object->dlpi_addr + segment->p_vaddr;
		uintptr_t start = first & ~(page - 1);

		if (segment->p_type == PT_LOAD && !(segment->p_flags & PF_W))
			madvise((void *)start, first + segment->p_memsz - start, MADV_DONTNEED);
	}
	return 0;
}

void memory_release_code(void)
{
	if (!sandbox_is_instrumented() && !is_traced())
		dl_iterate_phdr(release_object, NULL);
}
