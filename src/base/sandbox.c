/* seccomp without libseccomp, which adds 0.3 MiB to a daemon of 2 MiB. */
#include "base/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <linux/sockios.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/syscalls.h"

#if defined(__x86_64__)
#define ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#elif defined(__riscv) && __riscv_xlen == 64
#define ARCHITECTURE AUDIT_ARCH_RISCV64
#endif

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || defined(INSTRUMENTED)
#define SANITIZED true
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED true
#endif
#endif
#ifndef SANITIZED
#define SANITIZED false
#endif

#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#else
#define RUNNING_ON_VALGRIND 0
#endif

bool sandbox_is_instrumented(void)
{
	return SANITIZED || RUNNING_ON_VALGRIND;
}

#define LOAD(field)	  BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define SKIP_IF(value, n) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, n, 0)
#define SKIP_UNLESS(v, n) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, v, 0, n)
#define RETURN(what)	  BPF_STMT(BPF_RET | BPF_K, what)

/* Of several filters that refuse a call, the last one chooses the error. */
void sandbox_avoid_clone3(void)
{
	struct sock_filter filter[] = {
		LOAD(nr),
		SKIP_UNLESS(SYS_clone3, 1),
		RETURN(SECCOMP_RET_ERRNO | ENOSYS),
		RETURN(SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { sizeof(filter) / sizeof(filter[0]), filter };

	/* Without arguments it fails with EINVAL where it works. */
	if (syscall(SYS_clone3, NULL, 0) == -1 && errno == EPERM &&
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0)
		prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

#if SANDBOX_FILTERS_CALLS

#define CONDITIONS_MAX 32 /* instructions before those of the list */

#define X32_BIT 0x40000000
#define NAMESPACES                                                                     \
	(CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | \
	 CLONE_NEWPID | CLONE_NEWNET)

#define ENDING_SIZE 4 /* instructions after the list; the last one allows the call */

/* The reach of a jump. */
_Static_assert(SANDBOX_CALLS_MAX + ENDING_SIZE < UINT8_MAX, "the list may be too long");

/* Only the low 32 bits of an argument are compared: no command or flag has more, and all of these
 * machines are little-endian. */
bool sandbox_calls(const int *allowed, size_t count)
{
	const uint32_t refusal = SECCOMP_RET_ERRNO | EPERM;
	const struct sock_filter conditions[] = {
		LOAD(arch),
		SKIP_IF(ARCHITECTURE, 1),
		RETURN(refusal),
		LOAD(nr),
		BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, X32_BIT, 0, 1),
		RETURN(refusal),
		/* A new user namespace would give all capabilities back. No list has clone3: it has
		 * its flags in memory, which a filter cannot read. */
		SKIP_UNLESS(SYS_clone, 4),
		LOAD(args[0]),
		BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, NAMESPACES, 0, 1),
		RETURN(refusal),
		LOAD(nr),
		/* F_SETOWN would let a descriptor send signals to another process. */
		SKIP_UNLESS(SYS_fcntl, 5),
		LOAD(args[1]),
		SKIP_IF(F_SETOWN, 1),
		SKIP_UNLESS(F_SETOWN_EX, 1),
		RETURN(refusal),
		LOAD(nr),
		/* What sockets need, and names and indexes of interfaces, for fe80::1%eth0. */
		SKIP_UNLESS(SYS_ioctl, 7),
		LOAD(args[1]),
		SKIP_IF(FIONBIO, 4),
		SKIP_IF(FIONREAD, 3),
		SKIP_IF(SIOCGIFINDEX, 2),
		SKIP_IF(SIOCGIFNAME, 1),
		RETURN(refusal),
		LOAD(nr),
	};
	const struct sock_filter ending[] = {
		BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, SYSCALLS_NEW, 0, 1),
		RETURN(SECCOMP_RET_ERRNO | ENOSYS),
		RETURN(refusal),
		RETURN(SECCOMP_RET_ALLOW),
	};
	struct sock_filter filter[CONDITIONS_MAX + SANDBOX_CALLS_MAX + ENDING_SIZE];
	struct sock_filter *end = filter + sizeof(conditions) / sizeof(conditions[0]);
	struct sock_fprog program = { .filter = filter };

	_Static_assert(sizeof(conditions) <= CONDITIONS_MAX * sizeof(conditions[0]), "too many");
	_Static_assert(sizeof(ending) == ENDING_SIZE * sizeof(ending[0]), "too many");
	if (count > SANDBOX_CALLS_MAX)
		return false;
	memcpy(filter, conditions, sizeof(conditions));
	for (size_t i = 0; i < count; i++)
		*end++ = (struct sock_filter)SKIP_IF((uint32_t)allowed[i],
						     (uint8_t)(count - i + ENDING_SIZE - 2));
	memcpy(end, ending, sizeof(ending));
	program.len = (unsigned short)(end + ENDING_SIZE - filter);
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

#else

bool sandbox_calls(const int *allowed, size_t count)
{
	(void)allowed;
	(void)count;
	return false;
}

#endif

/* landlock(7). The C library has no functions for it, and headers before Linux 5.13 nothing. */
struct ruleset {
	uint64_t rights;
};

struct path_rule {
	uint64_t rights;
	int32_t parent;
} __attribute__((packed));

#define RULESET_VERSION UINT32_C(1)
#define RULE_PATH	1

static int create_rules(const struct ruleset *ruleset, size_t size, uint32_t flags)
{
	return (int)syscall(SYS_landlock_create_ruleset, ruleset, size, flags);
}

static int landlock_version(void)
{
	return create_rules(NULL, 0, RULESET_VERSION);
}

uint64_t sandbox_write_rights(void)
{
	uint64_t rights =
		SANDBOX_RIGHT_EXECUTE | SANDBOX_RIGHT_WRITE_FILE | SANDBOX_RIGHT_REMOVE_DIR |
		SANDBOX_RIGHT_REMOVE_FILE | SANDBOX_RIGHT_MAKE_CHAR | SANDBOX_RIGHT_MAKE_DIR |
		SANDBOX_RIGHT_MAKE_REG | SANDBOX_RIGHT_MAKE_SOCK | SANDBOX_RIGHT_MAKE_FIFO |
		SANDBOX_RIGHT_MAKE_BLOCK | SANDBOX_RIGHT_MAKE_SYM;
	int version = landlock_version();

	if (version < 1)
		return 0;
	if (version >= 2)
		rights |= SANDBOX_RIGHT_REFER;
	if (version >= 3)
		rights |= SANDBOX_RIGHT_TRUNCATE;
	return rights;
}

uint64_t sandbox_read_rights(void)
{
	return landlock_version() < 1 ? 0 : SANDBOX_RIGHT_READ_FILE | SANDBOX_RIGHT_READ_DIR;
}

int sandbox_begin_paths(uint64_t rights)
{
	struct ruleset ruleset = { .rights = rights };

	return rights == 0 ? -1 : create_rules(&ruleset, sizeof(ruleset), 0);
}

bool sandbox_allow_path(int rules, const char *path, uint64_t rights)
{
	struct path_rule rule = { rights, open(path, O_PATH | O_CLOEXEC) };
	bool allowed =
		rule.parent >= 0 && syscall(SYS_landlock_add_rule, rules, RULE_PATH, &rule, 0) == 0;

	if (rule.parent >= 0)
		close(rule.parent);
	return allowed;
}

bool sandbox_end_paths(int rules, bool complete)
{
	bool restricted = complete && syscall(SYS_landlock_restrict_self, rules, 0) == 0;

	close(rules);
	return restricted;
}
