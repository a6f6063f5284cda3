/* The web process: the same program in another role (see stats/role.h), which has what the daemon
 * hands it and nothing else. */
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/shm.h"
#include "base/text.h"
#include "stats/role.h"
#include "web/http.h"
#include "web/web_sandbox.h"

/* Of descriptors, and of ranges. */
#define NUMBER_MAX 16777216

struct role {
	struct site site;
	struct event_base *base;
	struct event *leash;
	int leash_fd, stats_fd, counters_fd, access_fd;
	int listeners[ROLE_LISTENERS_MAX];
	size_t listener_count;
};

static int read_number(const char *word)
{
	unsigned number;

	return word && text_to_number(word, 0, NUMBER_MAX, &number) ? (int)number : -1;
}

static bool read_words(struct role *role, char **words)
{
	int *const places[] = { &role->leash_fd, &role->stats_fd, &role->counters_fd,
				&role->access_fd };
	int ranges;

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		*places[i] = read_number(*words);
		if (*places[i] < 0 || fcntl(*places[i], F_SETFD, FD_CLOEXEC) < 0)
			return false;
		words++;
	}
	ranges = read_number(*words);
	if (ranges < 0)
		return false;
	role->site.access.range_count = (size_t)ranges;
	words++;
	for (; *words && role->listener_count < ROLE_LISTENERS_MAX; words++) {
		role->listeners[role->listener_count] = read_number(*words);
		if (role->listeners[role->listener_count++] < 0)
			return false;
	}
	return role->listener_count > 0;
}

static void say(const struct role *role, const char *text)
{
	(void)!send(role->leash_fd, text, strlen(text), MSG_NOSIGNAL);
}

/* The daemon asks; or it has closed its end, or is no more: then no new connection, and a moment
 * for those there are. */
static void heed_leash(int fd, short events, void *argument)
{
	struct role *role = argument;
	char word;
	ssize_t length = recv(fd, &word, sizeof(word), MSG_DONTWAIT);

	(void)events;
	if (length > 0) {
		say(role, ROLE_READY);
	} else if (length == 0 || errno != EAGAIN) {
		event_del(role->leash);
		site_end(&role->site);
	}
}

static bool open_all(struct role *role)
{
	struct site *site = &role->site;
	size_t ranges = (site->access.range_count + 1) * sizeof(*site->access.ranges);

	site->access.ranges = shm_map(role->access_fd, ranges, SHM_READ);
	site->stats = shm_map(role->stats_fd, sizeof(struct stats), SHM_READ);
	site->counters = shm_map(role->counters_fd, sizeof(struct web_counters), SHM_WRITE);
	role->base = event_base_new();
	if (!site->access.ranges || !site->stats || !site->counters || !role->base ||
	    !site_open(site, role->base))
		return false;
	leap_read(&site->leap);
	role->leash = event_new(role->base, role->leash_fd, EV_READ | EV_PERSIST, heed_leash, role);
	if (!role->leash || event_add(role->leash, NULL) < 0)
		return false;
	for (size_t i = 0; i < role->listener_count; i++) {
		if (!site_open_door(site, role->listeners[i]))
			return false;
	}
	return true;
}

/* What libevent has to say is of no use to anybody, and strangers have a hand in it. */
static void say_nothing(int severity, const char *message)
{
	(void)severity;
	(void)message;
}

int web_run(char **words)
{
	static struct role role;

	prctl(PR_SET_NAME, "timeserver-web"); /* or it would be "exe" */
	signal(SIGPIPE, SIG_IGN);
	/* Whoever signals all processes of a service or terminal means the daemon, which lets go of
	 * the leash. */
	signal(SIGTERM, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	event_set_log_callback(say_nothing);
	if (!read_words(&role, words)) {
		fputs("timeserver: that role is for timeserver itself to play\n", stderr);
		return 2;
	}
	if (!open_all(&role)) {
		say(&role, strerror(errno));
		return EXIT_FAILURE;
	}
	web_confine();
	say(&role, ROLE_READY);
	event_base_dispatch(role.base);
	site_close(&role.site);
	event_free(role.leash);
	event_base_free(role.base);
	return EXIT_SUCCESS;
}
