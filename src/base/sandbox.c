/* seccomp without libseccomp, which adds 0.3 MiB to a daemon of 2 MiB. */
#include "base/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
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
#define SKIP_BELOW(v, n)  BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, v, 0, n)
#define SKIP(n)		  BPF_STMT(BPF_JMP | BPF_JA, n)
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

#define X32_BIT 0x40000000

#define PROGRAM_MAX 1024

struct program {
	struct sock_filter code[PROGRAM_MAX];
	unsigned short length;
};

static void add(struct program *program, struct sock_filter instruction)
{
	if (program->length < PROGRAM_MAX)
		program->code[program->length++] = instruction;
}

static void add_start(struct program *program, uint32_t refusal)
{
	add(program, (struct sock_filter)LOAD(arch));
	add(program, (struct sock_filter)SKIP_IF(ARCHITECTURE, 1));
	add(program, (struct sock_filter)RETURN(refusal));
	add(program, (struct sock_filter)LOAD(nr));
	add(program, (struct sock_filter)SKIP_BELOW(X32_BIT, 1));
	add(program, (struct sock_filter)RETURN(refusal));
}

/* The reach of a jump. */
_Static_assert(SANDBOX_CALLS_MAX < UINT8_MAX, "the list may be too long");

static void add_allowed(struct program *program, const int *allowed, size_t count)
{
	for (size_t i = 0; i < count; i++)
		add(program,
		    (struct sock_filter)SKIP_IF((uint32_t)allowed[i], (uint8_t)(count - i)));
	add(program, (struct sock_filter)SKIP(1));
	add(program, (struct sock_filter)RETURN(SECCOMP_RET_ALLOW));
}

#define WORD_SIZE 3 /* instructions for one half of an argument */

static uint8_t condition_size(const struct sandbox_condition *condition)
{
	return (uint8_t)(((uint32_t)condition->mask != 0) + (condition->mask >> 32 != 0)) *
	       WORD_SIZE;
}

/* One half of an argument; shift: 0 or 32. All of these machines are little-endian. *left is how
 * many instructions of the rule follow. */
static void add_word(struct program *program, const struct sandbox_condition *condition,
		     unsigned shift, uint8_t *left)
{
	uint32_t mask = (uint32_t)(condition->mask >> shift);
	uint32_t offset =
		(uint32_t)offsetof(struct seccomp_data, args) + condition->argument * 8 + shift / 8;

	if (mask == 0)
		return;
	*left -= WORD_SIZE;
	add(program, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offset));
	add(program, (struct sock_filter)BPF_STMT(BPF_ALU | BPF_AND | BPF_K, mask));
	add(program, (struct sock_filter)SKIP_UNLESS((uint32_t)(condition->value >> shift), *left));
}

/* Begins and ends with the number of the call loaded. */
static void add_rule(struct program *program, const struct sandbox_rule *rule, uint32_t refusal)
{
	const size_t count = sizeof(rule->conditions) / sizeof(rule->conditions[0]);
	uint8_t left = 1; /* the verdict */

	for (size_t i = 0; i < count; i++)
		left += condition_size(&rule->conditions[i]);
	add(program, (struct sock_filter)SKIP_UNLESS((uint32_t)rule->call, (uint8_t)(left + 1)));
	for (size_t i = 0; i < count; i++) {
		add_word(program, &rule->conditions[i], 0, &left);
		add_word(program, &rule->conditions[i], 32, &left);
	}
	add(program, (struct sock_filter)RETURN(rule->refuse ? refusal : SECCOMP_RET_ALLOW));
	add(program, (struct sock_filter)LOAD(nr));
}

static void add_end(struct program *program, uint32_t refusal)
{
	add(program, (struct sock_filter)SKIP_BELOW(SYSCALLS_NEW, 1));
	add(program, (struct sock_filter)RETURN(SECCOMP_RET_ERRNO | ENOSYS));
	add(program, (struct sock_filter)RETURN(refusal));
}

/* Calls with any arguments come first: those of the request path are among them. */
bool sandbox_filter_calls(const struct sandbox_calls *calls)
{
	const uint32_t refusal = SECCOMP_RET_ERRNO | EPERM;
	struct program program;
	struct sock_fprog loaded = { .filter = program.code };

	program.length = 0;
	errno = E2BIG;
	if (calls->allowed_count > SANDBOX_CALLS_MAX || calls->rule_count > SANDBOX_RULES_MAX)
		return false;
	add_start(&program, refusal);
	add_allowed(&program, calls->allowed, calls->allowed_count);
	for (size_t i = 0; i < calls->rule_count; i++)
		add_rule(&program, &calls->rules[i], refusal);
	add_end(&program, refusal);
	if (program.length == PROGRAM_MAX)
		return false;
	loaded.len = program.length;
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &loaded) == 0;
}

#else

bool sandbox_filter_calls(const struct sandbox_calls *calls)
{
	(void)calls;
	errno = ENOSYS;
	return false;
}

#endif

bool sandbox_is_unsupported(int error)
{
	return error == ENOSYS || error == EOPNOTSUPP || error == EINVAL || error == EPERM;
}

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

	errno = ENOSYS;
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
	int error = errno;

	close(rules);
	errno = error;
	return restricted;
}
