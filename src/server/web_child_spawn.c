#include "server/web_child_spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/sandbox.h"
#include "base/shm.h"
#include "server/program.h"
#include "server/sockets/socket.h"
#include "stats/role.h"

/* The program's name, the role, five numbers, the listeners and the end. */
#define WORDS_MAX (7 + ROLE_LISTENERS_MAX + 1)
#define WORD_SIZE 16

/* A command line, and where its words are. */
struct command_line {
	char numbers[WORDS_MAX][WORD_SIZE];
	char *words[WORDS_MAX];
	unsigned count;
};

static void append(struct command_line *line, size_t number)
{
	char *word = line->numbers[line->count];

	snprintf(word, WORD_SIZE, "%zu", number);
	line->words[line->count++] = word;
}

/* Appends a descriptor, which the new process is to have. */
static bool pass(struct command_line *line, posix_spawn_file_actions_t *actions, int fd)
{
	append(line, (size_t)fd);
	errno = posix_spawn_file_actions_adddup2(actions, fd, fd);
	return errno == 0;
}

/* Puts who may ask into memory to be read by others. Returns its descriptor; -1, with errno. */
static int share_access(const struct access *access)
{
	size_t size = (access->range_count + 1) * sizeof(*access->ranges);
	int fd;
	void *memory = shm_create(size, SHM_READ, &fd);

	if (!memory)
		return -1;
	if (access->range_count > 0)
		memcpy(memory, access->ranges, access->range_count * sizeof(*access->ranges));
	munmap(memory, size);
	return fd;
}

/* A listener is as it should be, unless a process that was taken over has shut it down, or has it
 * block. */
static bool mend(int listener)
{
	return listen(listener, SOCKET_BACKLOG) == 0 && fcntl(listener, F_SETFL, O_NONBLOCK) == 0;
}

/* The terminal or log that this process may have is none of the new one's business: not to be
 * written, for it writes nothing. A sanitizer or valgrind does. */
static bool pass_nothing(posix_spawn_file_actions_t *actions)
{
	if (sandbox_is_instrumented())
		return true;
	errno = posix_spawn_file_actions_addopen(actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	for (int fd = STDOUT_FILENO; errno == 0 && fd <= STDERR_FILENO; fd++)
		errno = posix_spawn_file_actions_adddup2(actions, STDIN_FILENO, fd);
	return errno == 0;
}

static bool pass_all(const struct web *web, const struct service *service, const int passed_on[2],
		     struct command_line *line, posix_spawn_file_actions_t *actions)
{
	const struct listeners *listeners = &service->listeners;
	static char name[] = PROGRAM_NAME, role[] = ROLE_WEB;
	bool passed;

	*line = (struct command_line){ .words = { name, role }, .count = 2 };
	passed = pass(line, actions, passed_on[0]) && pass(line, actions, web->stats_fd) &&
		 pass(line, actions, web->counters_fd) && pass(line, actions, passed_on[1]);
	append(line, service->config.access.range_count);
	for (size_t i = 0; passed && i < listeners->count; i++) {
		if (listeners->items[i].protocol->reply)
			continue;
		errno = E2BIG; /* see web_adapt */
		passed = line->count < WORDS_MAX - 1 && mend(listeners->items[i].fd) &&
			 pass(line, actions, listeners->items[i].fd);
	}
	return passed && pass_nothing(actions);
}

/* Executes this program in its other role; what it is not passed is closed. Returns 0 or an
 * errno. */
static int spawn_with(struct web *web, const struct service *service, const int passed_on[2])
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	struct command_line line;
	sigset_t all, none;
	int error = posix_spawnattr_init(&attributes);

	if (error != 0)
		return error;
	error = posix_spawn_file_actions_init(&actions);
	if (error != 0)
		goto out;
	sigfillset(&all);
	sigemptyset(&none);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
	posix_spawnattr_setsigdefault(&attributes, &all);
	posix_spawnattr_setsigmask(&attributes, &none);
	error = pass_all(web, service, passed_on, &line, &actions) ?
			posix_spawn(&web->process, ROLE_PROGRAM, &actions, &attributes, line.words,
				    environ) :
			errno;
	posix_spawn_file_actions_destroy(&actions);
out:
	posix_spawnattr_destroy(&attributes);
	return error;
}

int web_spawn(struct web *web, const struct service *service, int leash)
{
	int passed_on[2] = { leash, share_access(&service->config.access) };
	int error = passed_on[1] < 0 ? errno : spawn_with(web, service, passed_on);

	if (passed_on[1] >= 0)
		close(passed_on[1]);
	return error;
}
