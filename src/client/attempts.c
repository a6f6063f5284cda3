#include "client/attempts.h"

#include <errno.h>

#include "base/fd.h"
#include "client/timespan.h"

#define ATTEMPT_DELAY (250 * CLOCK_MILLISECOND) /* RFC 8305, section 5 */

/* Less significant than an error that came from the network. */
static bool is_local_failure(int error)
{
	return error == ENETUNREACH || error == EADDRNOTAVAIL || error == EAFNOSUPPORT;
}

static bool in_first_pass(const struct attempts *attempts)
{
	return attempts->count < attempts->address_count;
}

const struct address *attempts_address(const struct attempts *attempts, size_t index)
{
	return &attempts->addresses[index % attempts->address_count];
}

void attempts_start_next_now(struct attempts *attempts)
{
	if (in_first_pass(attempts))
		attempts->next_start = clock_monotonic();
}

static void fail_attempt(struct attempts *attempts, size_t index, int error)
{
	if (attempts->error == 0 || is_local_failure(attempts->error) || !is_local_failure(error))
		attempts->error = error;
	attempts->failed[index % attempts->address_count] = true;
	fd_close(&attempts->polls[index].fd);
	attempts_start_next_now(attempts);
}

/* Between addresses the delay of RFC 8305, between passes the retry delay, doubled each time. */
static int64_t next_delay(struct attempts *attempts)
{
	int64_t delay = attempts->retry_delay;

	if (attempts->count % attempts->address_count != 0)
		return ATTEMPT_DELAY;
	attempts->retry_delay *= 2;
	return delay;
}

static void start_attempt(struct attempts *attempts)
{
	size_t index = attempts->count++;
	struct pollfd *attempt = &attempts->polls[index];

	attempts->start_times[index] = clock_monotonic();
	attempts->next_start = attempts->start_times[index] + next_delay(attempts);
	*attempt = (struct pollfd){ .fd = -1, .events = attempts->ops->events };
	if (attempts->failed[index % attempts->address_count])
		return;
	attempt->fd = attempts->ops->start(attempts, index, attempts_address(attempts, index));
	if (attempt->fd < 0)
		fail_attempt(attempts, index, -attempt->fd);
	else
		attempts->running++;
}

/* Waits for the running attempts until it is time for the next one. Returns whether one has
 * succeeded. */
static bool await_attempts(struct attempts *attempts, int64_t until, size_t *winner)
{
	if (until > attempts->deadline)
		until = attempts->deadline;
	if (timespan_poll(attempts->polls, attempts->count, until) <= 0)
		return false;
	for (size_t i = 0; i < attempts->count; i++) {
		struct pollfd *attempt = &attempts->polls[i];
		int result;

		if (attempt->fd < 0 || attempt->revents == 0)
			continue;
		result = attempts->ops->check(attempts, i, attempt->fd);
		if (result == 0) {
			*winner = i;
			return true;
		}
		if (result == EAGAIN)
			continue;
		attempts->running--;
		fail_attempt(attempts, i, result);
	}
	return false;
}

/* Whether there is another attempt to start, now or later. */
static bool has_more(const struct attempts *attempts)
{
	if (in_first_pass(attempts))
		return true;
	return !attempts->one_pass && attempts->ops->retry_after > 0 && attempts->running > 0 &&
	       attempts->count < ATTEMPTS_MAX;
}

int attempts_run(struct attempts *attempts, size_t *winner)
{
	attempts->retry_delay = attempts->ops->retry_after;
	for (;;) {
		int64_t now = clock_monotonic();
		bool more = has_more(attempts);

		if (now >= attempts->deadline)
			return ETIME;
		if (more && (attempts->running == 0 || now >= attempts->next_start))
			start_attempt(attempts);
		else if (attempts->running == 0)
			return attempts->error;
		else if (await_attempts(attempts, more ? attempts->next_start : attempts->deadline,
					winner))
			return 0;
	}
}

void attempts_close(struct attempts *attempts, size_t keep)
{
	for (size_t i = 0; i < attempts->count; i++) {
		if (i != keep)
			fd_close(&attempts->polls[i].fd);
	}
}
