#include "client/race.h"

#include <errno.h>
#include <unistd.h>

#include "client/timespan.h"

#define ATTEMPT_DELAY (250 * CLOCK_MILLISECOND) /* RFC 8305, section 5 */

/* That this machine cannot get there says less than what came back from there. */
static bool is_local_failure(int error)
{
	return error == ENETUNREACH || error == EADDRNOTAVAIL || error == EAFNOSUPPORT;
}

static bool in_first_pass(const struct race *race)
{
	return race->begun < race->address_count;
}

const struct address *race_address(const struct race *race, size_t index)
{
	return &race->addresses[index % race->address_count];
}

void race_hurry(struct race *race)
{
	if (in_first_pass(race))
		race->next = clock_monotonic();
}

static void note_failure(struct race *race, size_t index, int error)
{
	if (race->error == 0 || is_local_failure(race->error) || !is_local_failure(error))
		race->error = error;
	race->failed[index % race->address_count] = true;
	race->attempts[index].fd = -1;
	race_hurry(race);
}

/* After the last address comes the first again, if at all. */
static int64_t delay_of_next(struct race *race)
{
	int64_t delay = race->again;

	if (race->begun % race->address_count != 0)
		return ATTEMPT_DELAY;
	race->again *= 2;
	return delay;
}

static void begin_attempt(struct race *race)
{
	size_t index = race->begun++;
	struct pollfd *attempt = &race->attempts[index];

	race->started[index] = clock_monotonic();
	race->next = race->started[index] + delay_of_next(race);
	*attempt = (struct pollfd){ .fd = -1, .events = race->kind->events };
	if (race->failed[index % race->address_count])
		return;
	attempt->fd = race->kind->begin(race, index, race_address(race, index));
	if (attempt->fd < 0)
		note_failure(race, index, -attempt->fd);
	else
		race->running++;
}

/* Waits for one of the running attempts until it is time for another one. Returns whether one has
 * won. */
static bool await_attempts(struct race *race, int64_t until, size_t *winner)
{
	if (timespan_poll(race->attempts, race->begun, until) <= 0)
		return false;
	for (size_t i = 0; i < race->begun; i++) {
		struct pollfd *attempt = &race->attempts[i];
		int result;

		if (attempt->fd < 0 || attempt->revents == 0)
			continue;
		result = race->kind->settle(race, i, attempt->fd);
		if (result == 0) {
			*winner = i;
			return true;
		}
		if (result == EAGAIN)
			continue;
		close(attempt->fd);
		race->running--;
		note_failure(race, i, result);
	}
	return false;
}

/* Whether there will be another attempt, now or later. */
static bool has_more(const struct race *race)
{
	if (in_first_pass(race))
		return true;
	return !race->once && race->kind->again > 0 && race->running > 0 &&
	       race->begun < RACE_LIMIT;
}

int race_run(struct race *race, size_t *winner)
{
	race->again = race->kind->again;
	for (;;) {
		int64_t now = clock_monotonic();
		bool more = has_more(race);

		if (now >= race->deadline)
			return ETIME;
		if (more && (race->running == 0 || now >= race->next))
			begin_attempt(race);
		else if (race->running == 0)
			return race->error;
		else if (await_attempts(race,
					more && race->next < race->deadline ? race->next :
									      race->deadline,
					winner))
			return 0;
	}
}

void race_end(struct race *race, size_t keep)
{
	for (size_t i = 0; i < race->begun; i++) {
		if (i != keep && race->attempts[i].fd >= 0)
			close(race->attempts[i].fd);
	}
}
