/* Rights that a process gives up for itself and all that it starts: system calls that are not on a
 * list, and the file system. */
#ifndef BASE_SANDBOX_H
#define BASE_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Whether calls are numbered here in a way that was tried; else there is no filter of them. */
#if defined(__x86_64__) || defined(__aarch64__) || (defined(__riscv) && __riscv_xlen == 64)
#define SANDBOX_FILTERS_CALLS 1
#else
#define SANDBOX_FILTERS_CALLS 0
#endif

/* No list is longer. */
#define SANDBOX_CALLS_MAX 200

/* Allows the system calls of a list from now on; any other is refused. For good, and together with
 * what was refused before. Returns whether that could be done. */
bool sandbox_calls(const int *allowed, size_t count);

/* What the filter does with any other call, in its terms. */
uint32_t sandbox_refusal(void);

/* Which rights to files the running kernel can take away (landlock(7)), of those to make, change
 * and execute, and of those to read; 0: none. */
uint64_t sandbox_write_rights(void);
uint64_t sandbox_read_rights(void);

/* The right to cut a file off, which linux/landlock.h has since Linux 6.2. */
#define SANDBOX_RIGHT_TRUNCATE (UINT64_C(1) << 14)

/* Begins a set of rules that take these rights away; -1: that cannot be done. */
int sandbox_begin_paths(uint64_t rights);

/* Leaves these rights to what is at path and below. */
bool sandbox_allow_path(int rules, const char *path, uint64_t rights);

/* Puts the rules in force for this thread, and ends them. Returns whether that could be done. */
bool sandbox_end_paths(int rules, bool complete);

/* Whether this program runs under something that needs more rights than it: valgrind or a
 * sanitizer. */
bool sandbox_is_instrumented(void);

#endif
