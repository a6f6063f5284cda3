/* Names of servers, looked up while the clock is watched. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "server/clock/follow.h"
#include "server/clock/lookup.h"

#define PATIENCE 10000 /* milliseconds */

static enum lookup_result wait_for(struct lookup *lookup, unsigned which, struct address *address)
{
	enum lookup_result result = lookup_poll(lookup, which, 123, address);

	for (int i = 0; i < PATIENCE && result == LOOKUP_PENDING; i++) {
		usleep(1000);
		result = lookup_poll(lookup, which, 123, address);
	}
	return result;
}

static void a_name_has_addresses_in_turn(void **state)
{
	struct lookup *lookup = lookup_start("localhost");
	struct address first, address;
	unsigned count = 1;

	(void)state;
	assert_non_null(lookup);
	assert_int_equal(wait_for(lookup, 0, &first), LOOKUP_FOUND);
	assert_int_equal(address_port(&first), 123);
	for (; count < 100; count++) {
		assert_int_equal(lookup_poll(lookup, count, 123, &address), LOOKUP_FOUND);
		if (address_equal(&address, &first))
			break;
	}
	assert_true(count < 100);
	lookup_release(lookup);
}

static void a_name_may_lead_nowhere(void **state)
{
	struct lookup *lookup = lookup_start("no..name");
	struct address address;

	(void)state;
	assert_non_null(lookup);
	assert_int_equal(wait_for(lookup, 0, &address), LOOKUP_FAILED);
	lookup_release(lookup);
}

/* Whoever is the last to come releases it: nothing leaks, and nothing is used afterwards. */
static void a_lookup_may_be_left_to_itself(void **state)
{
	(void)state;
	for (int i = 0; i < 20; i++) {
		struct lookup *lookup = lookup_start(i % 2 ? "localhost" : "no..name");

		assert_non_null(lookup);
		usleep(i * 100);
		lookup_release(lookup);
	}
	lookup_release(NULL);
	usleep(200000); /* so that the threads are gone when a leak is looked for */
}

static void a_server_is_followed_by_its_name(void **state)
{
	const struct config_clock source = { .host = "localhost", .port = 1123 };
	struct follow follow;
	int64_t now = 0;

	(void)state;
	follow_open(&follow, &source, now);
	for (int i = 0; i < PATIENCE && follow.socket < 0; i++) {
		now = follow_tick(&follow, now);
		usleep(1000);
	}
	assert_true(follow.socket >= 0);
	assert_null(follow.lookup);
	assert_int_equal(address_port(&follow.server), 1123);
	follow_close(&follow);
}

static void a_server_that_is_nowhere_is_looked_for_again(void **state)
{
	const struct config_clock source = { .host = "no..name", .port = 123 };
	struct clock_state clock;
	struct follow follow;
	int64_t now = 0;

	(void)state;
	follow_open(&follow, &source, now);
	for (int i = 0; i < PATIENCE && follow.attempt < 2; i++) {
		now = follow_tick(&follow, now);
		assert_int_equal(follow.socket, -1);
		usleep(1000);
	}
	assert_int_equal(follow.attempt, 2);
	assert_string_equal(follow_state(&follow, &clock), "cannot be found");
	assert_false(clock_state_is_synchronised(&clock));
	follow_close(&follow);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_name_has_addresses_in_turn),
		cmocka_unit_test(a_name_may_lead_nowhere),
		cmocka_unit_test(a_lookup_may_be_left_to_itself),
		cmocka_unit_test(a_server_is_followed_by_its_name),
		cmocka_unit_test(a_server_that_is_nowhere_is_looked_for_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
