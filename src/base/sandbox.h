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

/* The most calls and rules of a filter. */
#define SANDBOX_CALLS_MAX 200
#define SANDBOX_RULES_MAX 150

/* A condition on an argument, counted from 0: (argument & mask) == value. No mask: none. */
struct sandbox_condition {
	uint64_t mask, value;
	unsigned argument;
};

/* A system call that is allowed, or refused, where all conditions on its arguments hold. */
struct sandbox_rule {
	int call;
	bool refuse;
	struct sandbox_condition conditions[3];
};

#define SANDBOX_ALLOW(number, ...)                              \
	{                                                       \
		.call = (number), .conditions = { __VA_ARGS__ } \
	}
#define SANDBOX_REFUSE(number, ...)                                             \
	{                                                                       \
		.call = (number), .refuse = true, .conditions = { __VA_ARGS__ } \
	}

/* Conditions. The kernel takes an int from the low 32 bits of an argument. */
#define SANDBOX_BITS(n, bits, value)                     \
	{                                                \
		(uint32_t)(bits), (uint32_t)(value), (n) \
	}
#define SANDBOX_IS(n, value)	  SANDBOX_BITS(n, UINT32_MAX, value)
#define SANDBOX_LACKS(n, bits)	  SANDBOX_BITS(n, bits, 0)
#define SANDBOX_HAS_ONLY(n, bits) SANDBOX_BITS(n, ~(uint32_t)(bits), 0)
#define SANDBOX_IS_NULL(n)         \
	{                          \
		UINT64_MAX, 0, (n) \
	}

struct sandbox_calls {
	const int *allowed; /* with any arguments */
	size_t allowed_count;
	const struct sandbox_rule *rules; /* of a call the first one whose conditions hold counts */
	size_t rule_count;
};

/* Allows only these system calls from now on, in addition to earlier restrictions. Others fail with
 * EPERM, or with ENOSYS if they are newer than Linux 4.18: a C library that knows them then makes
 * older ones instead. Returns false with errno. */
bool sandbox_filter_calls(const struct sandbox_calls *calls);

/* Where clone3(2) fails with EPERM, as in containers of Docker 20.10, a C library that knows it
 * cannot start threads. Has it fail with ENOSYS there, so that the library calls clone(2). Not
 * needed after sandbox_filter_calls. */
void sandbox_avoid_clone3(void);

/* Rights of landlock(7), as linux/landlock.h has them since Linux 5.13 (SANDBOX_RIGHT_REFER: 5.19,
 * SANDBOX_RIGHT_TRUNCATE: 6.2). */
#define SANDBOX_RIGHT_EXECUTE	  (UINT64_C(1) << 0)
#define SANDBOX_RIGHT_WRITE_FILE  (UINT64_C(1) << 1)
#define SANDBOX_RIGHT_READ_FILE	  (UINT64_C(1) << 2)
#define SANDBOX_RIGHT_READ_DIR	  (UINT64_C(1) << 3)
#define SANDBOX_RIGHT_REMOVE_DIR  (UINT64_C(1) << 4)
#define SANDBOX_RIGHT_REMOVE_FILE (UINT64_C(1) << 5)
#define SANDBOX_RIGHT_MAKE_CHAR	  (UINT64_C(1) << 6)
#define SANDBOX_RIGHT_MAKE_DIR	  (UINT64_C(1) << 7)
#define SANDBOX_RIGHT_MAKE_REG	  (UINT64_C(1) << 8)
#define SANDBOX_RIGHT_MAKE_SOCK	  (UINT64_C(1) << 9)
#define SANDBOX_RIGHT_MAKE_FIFO	  (UINT64_C(1) << 10)
#define SANDBOX_RIGHT_MAKE_BLOCK  (UINT64_C(1) << 11)
#define SANDBOX_RIGHT_MAKE_SYM	  (UINT64_C(1) << 12)
#define SANDBOX_RIGHT_REFER	  (UINT64_C(1) << 13)
#define SANDBOX_RIGHT_TRUNCATE	  (UINT64_C(1) << 14)

/* The rights that the running kernel can restrict: to make, change and execute files, and to read
 * them; 0: none. */
uint64_t sandbox_write_rights(void);
uint64_t sandbox_read_rights(void);

/* Begins a ruleset that restricts these rights; -1 on failure, with errno. */
int sandbox_begin_paths(uint64_t rights);

/* Allows these rights at path and below. */
bool sandbox_allow_path(int rules, const char *path, uint64_t rights);

/* Enforces the ruleset on this thread, if it is complete, and closes it. Returns whether it is in
 * force; if not, with errno. */
bool sandbox_end_paths(int rules, bool complete);

/* Whether this error of a restriction means that the kernel, or a container, does not have it. */
bool sandbox_is_unsupported(int error);

/* Whether this program runs under valgrind or a sanitizer, which need more rights. */
bool sandbox_is_instrumented(void);

#endif
