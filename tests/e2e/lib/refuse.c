/*
 * refuse: runs a command whose system calls fail as on an older kernel, or in a sandbox that does
 * not know them.
 *
 * usage: refuse ERROR CALL... -- COMMAND...
 * ERROR is a name from the table below. CALL is a number or a name from the other table, and
 * conditions, which all have to hold:
 *     NUMBER+             and every call with a higher number
 *     CALL:ARG=VALUE      argument ARG, counted from 0, has this value
 *     CALL:ARG&BITS       it has one of these bits
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define FILTER_MAX 128

#ifdef SYS_fcntl64 /* with 32 bits */
#define FCNTL SYS_fcntl64
#else
#define FCNTL SYS_fcntl
#endif

static const struct {
	const char *name;
	uint32_t value;
} calls[] = {
	{ "fcntl", FCNTL },
	{ "setsockopt", SYS_setsockopt },
	{ "getdents64", SYS_getdents64 },
	{ "getrandom", SYS_getrandom },
	{ "timerfd_create", SYS_timerfd_create },
}, errors[] = {
	{ "EPERM", EPERM },
	{ "ENOSYS", ENOSYS },
	{ "EINVAL", EINVAL },
	{ "ENOPROTOOPT", ENOPROTOOPT },
	{ "EAGAIN", EAGAIN },
};

static struct sock_filter filter[FILTER_MAX];
static unsigned short used;

static void require(bool holds, const char *what)
{
	if (holds)
		return;
	fprintf(stderr, "refuse: %s: %s\n", what, strerror(errno));
	exit(99);
}

static void add(uint16_t code, uint32_t value, uint8_t true_skips, uint8_t false_skips)
{
	require(used < FILTER_MAX, "too many calls");
	filter[used++] = (struct sock_filter)BPF_JUMP(code, value, true_skips, false_skips);
}

static uint32_t error_number(const char *word)
{
	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		if (strcmp(word, errors[i].name) == 0)
			return errors[i].value;
	}
	require(false, word);
	return 0;
}

/* The number that word begins with, which moves *rest behind it. */
static uint32_t call_number(char *word, char **rest)
{
	size_t length = strcspn(word, ":+");

	*rest = word + length;
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		if (strlen(calls[i].name) == length && memcmp(word, calls[i].name, length) == 0)
			return calls[i].value;
	}
	require(word[0] >= '0' && word[0] <= '9', word);
	return (uint32_t)strtoul(word, NULL, 0);
}

/* A condition is two instructions, and the refusal one after the last. */
static void refuse(char *word, uint32_t error)
{
	uint32_t argument, value;
	unsigned conditions = 0;
	char *rest, operation;
	uint32_t number = call_number(word, &rest);
	bool higher = *rest == '+';

	for (char *colon = rest; (colon = strchr(colon, ':')) != NULL; colon++)
		conditions++;
	add(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr), 0, 0);
	add(BPF_JMP | (higher ? BPF_JGE : BPF_JEQ) | BPF_K, number, 0,
	    (uint8_t)(2 * conditions + 1));
	for (rest += higher; *rest == ':'; conditions--) {
		argument = (uint32_t)strtoul(rest + 1, &rest, 0);
		operation = *rest;
		value = (uint32_t)strtoul(rest + 1, &rest, 0);
		require((operation == '=' || operation == '&') && argument < 6, word);
		add(BPF_LD | BPF_W | BPF_ABS,
		    (uint32_t)offsetof(struct seccomp_data, args) + argument * 8, 0, 0);
		add(BPF_JMP | (operation == '=' ? BPF_JEQ : BPF_JSET) | BPF_K, value, 0,
		    (uint8_t)(2 * (conditions - 1) + 1));
	}
	require(*rest == '\0', word);
	add(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error, 0, 0);
}

int main(int argc, char **argv)
{
	struct sock_fprog program = { .filter = filter };
	uint32_t error;

	require(argc > 3, "usage: refuse ERROR CALL... -- COMMAND...");
	error = error_number(argv[1]);
	for (argv += 2; *argv && strcmp(*argv, "--") != 0; argv++)
		refuse(*argv, error);
	add(BPF_RET | BPF_K, SECCOMP_RET_ALLOW, 0, 0);
	program.len = used;
	/* Without CAP_SYS_ADMIN the kernel wants this first. */
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
		require(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
				prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0,
			"seccomp");
	require(*argv && argv[1], "no command");
	execv(argv[1], argv + 1);
	require(false, argv[1]);
}
