#include "client/connect.h"

#include <errno.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client/moment.h"
#include "client/resolve.h"

#define ATTEMPT_DELAY (250 * CLOCK_MILLISECOND) /* RFC 8305, section 5 */

struct race {
	const struct address *addresses;
	size_t count;
	size_t begun;			       /* how many attempts have been; the next address */
	size_t running;			       /* how many of these may still connect */
	struct pollfd attempts[RESOLVE_LIMIT]; /* one an address; fd -1 once it has failed */
	int64_t started[RESOLVE_LIMIT];
	int64_t next; /* the moment for the next attempt */
	int error;    /* the most telling failure so far */
};

/* That this machine cannot get there says less than what came back from there. */
static bool is_local_failure(int error)
{
	return error == ENETUNREACH || error == EADDRNOTAVAIL || error == EAFNOSUPPORT;
}

static void note_failure(struct race *race, int error)
{
	if (race->error == 0 || is_local_failure(race->error) || !is_local_failure(error))
		race->error = error;
	race->next = clock_monotonic();
}

static void drop_attempt(struct race *race, struct pollfd *attempt, int error)
{
	note_failure(race, error);
	close(attempt->fd);
	attempt->fd = -1;
	race->running--;
}

static void begin_attempt(struct race *race)
{
	const struct address *address = &race->addresses[race->begun];
	struct pollfd *attempt = &race->attempts[race->begun];

	race->started[race->begun] = clock_monotonic();
	race->next = race->started[race->begun] + ATTEMPT_DELAY;
	race->begun++;
	attempt->events = POLLOUT;
	attempt->fd = socket(address->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (attempt->fd < 0) {
		note_failure(race, errno);
		return;
	}
	race->running++;
	if (connect(attempt->fd, &address->any, address_length(address)) != 0 &&
	    errno != EINPROGRESS)
		drop_attempt(race, attempt, errno);
}

/* Whether the attempt, which poll found ready, has connected; one that has failed is closed. */
static bool settle_attempt(struct race *race, struct pollfd *attempt)
{
	int error = 0;
	socklen_t size = sizeof(error);

	if (getsockopt(attempt->fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0)
		error = errno;
	if (error == 0)
		return true;
	drop_attempt(race, attempt, error);
	return false;
}

/* Waits for one of the running attempts until it is time for another one. Returns the index of the
 * one that has connected, or -1. */
static int await_attempts(struct race *race, int64_t deadline)
{
	bool more = race->begun < race->count;
	int64_t until = more && race->next < deadline ? race->next : deadline;

	if (moment_poll(race->attempts, race->begun, until) <= 0)
		return -1;
	for (size_t i = 0; i < race->begun; i++) {
		struct pollfd *attempt = &race->attempts[i];

		if (attempt->fd >= 0 && attempt->revents != 0 && settle_attempt(race, attempt))
			return (int)i;
	}
	return -1;
}

/* Runs the race. Returns the index of the winner, or -1 with the error set. */
static int run(struct race *race, int64_t deadline)
{
	int winner = -1;

	while (winner < 0) {
		int64_t now = clock_monotonic();

		if (now >= deadline) {
			race->error = ETIME;
			return -1;
		}
		if (race->begun < race->count && (race->running == 0 || now >= race->next))
			begin_attempt(race);
		else if (race->running == 0)
			return -1;
		else
			winner = await_attempts(race, deadline);
	}
	return winner;
}

int connect_first(struct connection *connection, const struct address *addresses, size_t count,
		  int64_t deadline)
{
	struct race race = { .addresses = addresses, .count = count };
	int winner = run(&race, deadline);

	for (size_t i = 0; i < race.begun; i++) {
		if ((int)i != winner && race.attempts[i].fd >= 0)
			close(race.attempts[i].fd);
	}
	if (winner < 0)
		return race.error;
	*connection = (struct connection){
		.socket = race.attempts[winner].fd,
		.address = addresses[winner],
		.started = race.started[winner],
	};
	return 0;
}
