/* Restricts system calls (seccomp) and paths (Landlock) of this process and its children. */
#ifndef BASE_SANDBOX_H
#define BASE_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Whether the system call filter was tested on this architecture; else there is none. */
#if defined(__x86_64__) || defined(__aarch64__) || (defined(__riscv) && __riscv_xlen == 64)
#define SANDBOX_FILTERS_CALLS 1
#else
#define SANDBOX_FILTERS_CALLS 0
#endif

/* The longest list. */
#define SANDBOX_CALLS_MAX 200

/* Allows only the system calls of a list from now on, in addition to earlier restrictions. Others
 * fail with EPERM. Returns false if the kernel refuses. */
bool sandbox_calls(const int *allowed, size_t count);

/* The Landlock rights (landlock(7)) that the running kernel can restrict: to make, change and
 * execute files, and to read them; 0: none. */
uint64_t sandbox_write_rights(void);
uint64_t sandbox_read_rights(void);

/* Truncating a file, in linux/landlock.h since Linux 6.2. */
#define SANDBOX_RIGHT_TRUNCATE (UINT64_C(1) << 14)

/* Begins a ruleset that restricts these rights; -1 on failure. */
int sandbox_begin_paths(uint64_t rights);

/* Allows these rights at path and below. */
bool sandbox_allow_path(int rules, const char *path, uint64_t rights);

/* Enforces the ruleset on this thread, if it is complete, and closes it. Returns whether it is in
 * force. */
bool sandbox_end_paths(int rules, bool complete);

/* Whether this program runs under valgrind or a sanitizer, which need more rights. */
bool sandbox_is_instrumented(void);

#endif
