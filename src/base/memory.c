#include "base/memory.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/sandbox.h"

#define LINE_SIZE 512 /* a longer line, of a long path, is read in pieces */

#define ANONYMOUS "Anonymous:"

struct mapping {
	uintptr_t start, end;
	bool is_code; /* or constants: of a file, not writable */
};

/* Reads "START-END MODE OFFSET DEVICE INODE PATH", if the line is one of these. */
static void read_mapping(const char *line, struct mapping *mapping)
{
	char *rest;
	uintptr_t start = strtoumax(line, &rest, 16);

	if (rest == line || *rest != '-')
		return;
	mapping->start = start;
	mapping->end = strtoumax(rest + 1, &rest, 16);
	mapping->is_code = rest[0] == ' ' && rest[2] == '-' && strchr(rest, '/');
}

static bool has_no_anonymous_page(const char *line)
{
	return strncmp(line, ANONYMOUS, strlen(ANONYMOUS)) == 0 &&
	       strtoul(line + strlen(ANONYMOUS), NULL, 10) == 0;
}

/* Pages that were changed, such as those with a breakpoint or with relocations, are anonymous. */
void memory_release_code(void)
{
	FILE *file = sandbox_is_instrumented() ? NULL : fopen("/proc/self/smaps", "re");
	struct mapping mapping = { 0 };
	char line[LINE_SIZE];

	while (file && fgets(line, sizeof(line), file)) {
		read_mapping(line, &mapping);
		if (mapping.is_code && has_no_anonymous_page(line))
			madvise((void *)mapping.start, mapping.end - mapping.start, MADV_DONTNEED);
	}
	if (file)
		fclose(file);
}
