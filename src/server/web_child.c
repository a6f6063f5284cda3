#include "server/web_child.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "base/shm.h"
#include "base/text.h"
#include "clock/clock.h"
#include "server/web_child_spawn.h"
#include "stats/role.h"

#define START_MILLISECONDS 5000
#define END		   (2 * CLOCK_SECOND / 5)
#define TIME_TO_END	   CLOCK_SECOND

/* One that lives for so long has got over whatever ended the one before. */
#define LIVED (10 * CLOCK_SECOND)

/* How long to wait before the second start in a row, twice that before the third, and so on. */
#define PAUSE	   (CLOCK_SECOND / 5)
#define PAUSES_MAX 7

/* How often it is asked whether it still serves, and how many questions in a row it may leave
 * unanswered; counted, since after a pause of the whole machine no clock tells who hung. */
#define ASK_INTERVAL   (2 * CLOCK_SECOND)
#define UNANSWERED_MAX 3

bool web_open(struct web *web, struct failure *failure)
{
	*web = (struct web){
		.stats_fd = -1, .counters_fd = -1, .leash = -1, .again_at = INT64_MAX
	};
	web->stats = shm_create(sizeof(*web->stats), SHM_READ, &web->stats_fd);
	web->counters = web->stats ?
				shm_create(sizeof(*web->counters), SHM_WRITE, &web->counters_fd) :
				NULL;
	return web->counters || failure_set_errno(failure, "cannot make memory to share");
}

/* Waits for the process to say that it serves, or why it cannot. */
static bool hear(const struct web *web, struct failure *failure)
{
	struct pollfd said = { .fd = web->leash, .events = POLLIN };
	char text[256];
	ssize_t length = 0;

	if (poll(&said, 1, START_MILLISECONDS) == 1)
		length = recv(web->leash, text, sizeof(text) - 1, MSG_DONTWAIT);
	text[length > 0 ? length : 0] = '\0';
	if (strcmp(text, ROLE_READY) == 0)
		return true;
	return failure_set(failure, EXIT_NOT_STARTED, "cannot start the web process: %s",
			   text[0] != '\0' ? text : "it says nothing");
}

/* Waits for the end of a process, which comes by force then. */
static void bury(pid_t process, int64_t until)
{
	if (process == 0)
		return;
	while (clock_monotonic() < until) {
		if (waitpid(process, NULL, WNOHANG) != 0)
			return;
		poll(NULL, 0, 1);
	}
	kill(process, SIGKILL);
	waitpid(process, NULL, 0);
}

/* Lets go of the present process, if there is one: it finishes what it is at, and ends. */
static void retire(struct web *web)
{
	if (web->process == 0)
		return;
	bury(web->before, clock_monotonic() + END);
	close(web->leash);
	web->before = web->process;
	web->kill_at = clock_monotonic() + TIME_TO_END;
	web->process = 0;
	web->leash = -1;
}

/* Starts a process in place of the present one, which stays if that fails. */
static bool start(struct web *web, const struct service *service, struct failure *failure)
{
	struct web next = *web;
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return failure_set_errno(failure, "cannot start the web process");
	counter_add(&web->stats->web_starts, 1);
	next.process = 0;
	next.leash = ends[0];
	next.begun = clock_monotonic();
	errno = web_spawn(&next, service, ends[1]);
	if (errno != 0) {
		failure_set_errno(failure, "cannot start the web process");
		next.process = 0;
	}
	close(ends[1]);
	if (next.process == 0 || !hear(&next, failure)) {
		close(next.leash);
		bury(next.process, clock_monotonic() + END);
		return false;
	}
	retire(web);
	web->process = next.process;
	web->leash = next.leash;
	web->begun = next.begun;
	web->ask_at = clock_monotonic() + ASK_INTERVAL;
	web->unanswered = 0;
	return true;
}

static int64_t pause_after(unsigned failures)
{
	unsigned doublings = failures < PAUSES_MAX ? failures : PAUSES_MAX;

	return failures == 0 ? 0 : PAUSE << (doublings - 1);
}

/* Plans another attempt. */
static void plan(struct web *web, int64_t now)
{
	web->again_at = now + pause_after(web->failures);
	web->failures++;
}

static size_t count_listeners(const struct listeners *listeners)
{
	size_t count = 0;

	for (size_t i = 0; i < listeners->count; i++)
		count += !listeners->items[i].protocol->reply;
	return count;
}

bool web_is_configured(const struct listeners *listeners)
{
	return count_listeners(listeners) > 0;
}

bool web_adapt(struct web *web, const struct service *service, struct failure *failure)
{
	size_t count = count_listeners(&service->listeners);
	bool started = false;

	web->again_at = INT64_MAX;
	web->failures = 0;
	if (count == 0) {
		retire(web);
		return true;
	}
	if (count > ROLE_LISTENERS_MAX)
		failure_set(failure, EXIT_CONFIGURATION, "http at more than %d addresses",
			    ROLE_LISTENERS_MAX);
	else
		started = start(web, service, failure);
	if (!started)
		plan(web, clock_monotonic());
	return started;
}

void web_reap(struct web *web)
{
	static struct log_limit deaths;
	int64_t now = clock_monotonic();
	int status;
	pid_t process;

	while ((process = waitpid(-1, &status, WNOHANG)) > 0) {
		if (process == web->before)
			web->before = 0;
		if (process != web->process)
			continue;
		log_limited(&deaths, LOG_WARNING,
			    "the web process ended by %s %d: starting another",
			    WIFSIGNALED(status) ? "signal" : "itself with status",
			    WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
		counter_add(&web->stats->web_deaths, 1);
		web->process = 0;
		close(web->leash);
		web->leash = -1;
		if (now - web->begun > LIVED)
			web->failures = 0;
		plan(web, now);
	}
}

int64_t web_tick_before(const struct web *web, int64_t now)
{
	if (web->before == 0)
		return INT64_MAX;
	if (web->kill_at > now)
		return web->kill_at;
	kill(web->before, SIGKILL); /* and web_reap buries it */
	return INT64_MAX;
}

static void try_again(struct web *web, const struct service *service)
{
	static struct log_limit failures;
	struct failure failure;

	if (start(web, service, &failure)) {
		web->again_at = INT64_MAX;
	} else {
		log_limited(&failures, LOG_ERR, "%s", failure.text);
		plan(web, clock_monotonic());
	}
}

/* Hears what the process has answered, which may be anything, and asks it anew. */
static void ask(struct web *web)
{
	static struct log_limit hangs;
	char word;

	for (int i = 0; i < UNANSWERED_MAX; i++) {
		if (recv(web->leash, &word, sizeof(word), MSG_DONTWAIT) > 0)
			web->unanswered = 0;
	}
	if (web->unanswered == UNANSWERED_MAX) {
		log_limited(&hangs, LOG_ERR, "the web process hangs: ending it by force");
		kill(web->process, SIGKILL);
		return;
	}
	(void)!send(web->leash, ROLE_ASK, strlen(ROLE_ASK), MSG_DONTWAIT | MSG_NOSIGNAL);
	web->unanswered++;
}

int64_t web_tick(struct web *web, const struct service *service, int64_t now)
{
	if (web->again_at <= now)
		try_again(web, service);
	if (web->process == 0)
		return web->again_at;
	if (web->ask_at <= now) {
		ask(web);
		web->ask_at = now + ASK_INTERVAL;
	}
	return web->again_at < web->ask_at ? web->again_at : web->ask_at;
}

void web_let_go(struct web *web)
{
	if (web->leash >= 0)
		close(web->leash);
	web->leash = -1;
	web->kill_at = clock_monotonic() + END;
}

void web_end(struct web *web)
{
	bury(web->process, web->kill_at);
	bury(web->before, web->kill_at);
	web->process = 0;
	web->before = 0;
}

void web_close(struct web *web)
{
	web_let_go(web);
	web_end(web);
	if (web->stats)
		munmap(web->stats, sizeof(*web->stats));
	if (web->counters)
		munmap(web->counters, sizeof(*web->counters));
	if (web->stats_fd >= 0)
		close(web->stats_fd);
	if (web->counters_fd >= 0)
		close(web->counters_fd);
}
