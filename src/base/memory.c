#include "base/memory.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>

#include "base/sandbox.h"

#define LINE_SIZE 512 /* a longer line is read as two, of which the second is none of ours */

/* A mapping of a file that cannot be written to, from its first line in /proc/self/smaps. */
struct mapping {
	uintptr_t start, end; /* end is 0 for any other mapping */
};

static void read_start(const char *line, struct mapping *mapping)
{
	uintmax_t start, end, inode;
	char mode[5];

	if (sscanf(line, "%jx-%jx %4s %*s %*s %ju", &start, &end, mode, &inode) == 4)
		*mapping = (struct mapping){ (uintptr_t)start,
					     mode[1] == '-' && inode != 0 ? (uintptr_t)end : 0 };
}

/* Pages that were changed, such as those with a breakpoint or with relocations, are anonymous. */
void memory_release_code(void)
{
	FILE *file = sandbox_is_instrumented() ? NULL : fopen("/proc/self/smaps", "re");
	struct mapping mapping = { 0 };
	char line[LINE_SIZE];
	unsigned anonymous;

	while (file && fgets(line, sizeof(line), file)) {
		read_start(line, &mapping);
		if (sscanf(line, "Anonymous: %u kB", &anonymous) == 1 && anonymous == 0 &&
		    mapping.end != 0)
			madvise((void *)mapping.start, mapping.end - mapping.start, MADV_DONTNEED);
	}
	if (file)
		fclose(file);
}
