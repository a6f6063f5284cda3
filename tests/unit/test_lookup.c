/* Lookups of server names, in the background. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "server/clock/follow.h"
#include "server/clock/lookup.h"

#define TIMEOUT 10000 /* milliseconds */

static enum lookup_result wait_for(struct lookup *lookup, unsigned which, struct address *address)
{
	enum lookup_result result = lookup_poll(lookup, which, 123, address);

	for (int i = 0; i < TIMEOUT && result == LOOKUP_PENDING; i++) {
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

static void an_unknown_name_fails(void **state)
{
	struct lookup *lookup = lookup_start("no..name");
	struct address address;

	(void)state;
	assert_non_null(lookup);
	assert_int_equal(wait_for(lookup, 0, &address), LOOKUP_FAILED);
	lookup_release(lookup);
}

/* The last user frees it: no leak, and no use after free. */
static void a_lookup_can_be_released_while_it_runs(void **state)
{
	(void)state;
	for (int i = 0; i < 20; i++) {
		struct lookup *lookup = lookup_start(i % 2 ? "localhost" : "no..name");

		assert_non_null(lookup);
		usleep(i * 100);
		lookup_release(lookup);
	}
	lookup_release(NULL);
	usleep(200000); /* until the threads have ended, before leaks are counted */
}

static void a_server_can_be_followed_by_name(void **state)
{
	const struct config_clock source = { .host = "localhost", .port = 1123 };
	struct follow follow;
	int64_t now = 0;

	(void)state;
	follow_open(&follow, &source, now);
	for (int i = 0; i < TIMEOUT && follow.socket < 0; i++) {
		now = follow_tick(&follow, now);
		usleep(1000);
	}
	assert_true(follow.socket >= 0);
	assert_null(follow.lookup);
	assert_int_equal(address_port(&follow.server), 1123);
	follow_close(&follow);
}

static void an_unknown_server_is_looked_up_again(void **state)
{
	const struct config_clock source = { .host = "no..name", .port = 123 };
	struct clock_state clock;
	struct follow follow;
	int64_t now = 0;

	(void)state;
	follow_open(&follow, &source, now);
	for (int i = 0; i < TIMEOUT && follow.attempt < 2; i++) {
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
		cmocka_unit_test(an_unknown_name_fails),
		cmocka_unit_test(a_lookup_can_be_released_while_it_runs),
		cmocka_unit_test(a_server_can_be_followed_by_name),
		cmocka_unit_test(an_unknown_server_is_looked_up_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
