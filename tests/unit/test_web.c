/* HTTP requests: queries, hosts and languages; and the list of leap seconds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <event2/event.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "web/connections.h"
#include "web/leap.h"
#include "web/query.h"

/* Else a client could find networks that are counted as one with another's. */
static void networks_are_told_apart_with_a_random_key(void **state)
{
	static struct connections one, other;
	struct access access = { 0 };
	struct counter open;

	(void)state;
	connections_open(&one, &access, &open);
	connections_open(&other, &access, &open);
	assert_true(one.key.low != 0 && one.key.low != other.key.low);
	assert_true(one.key.high != 0 && one.key.high != other.key.high);
}

#define DESCRIPTORS 100

static unsigned count_descriptors(void)
{
	unsigned count = 0;

	for (int fd = 0; fd < DESCRIPTORS; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

/* They leave descriptors for anything else, and the limit is lowered to what they need. */
static void connections_are_limited_by_descriptors(void **state)
{
	static struct connections connections;
	struct rlimit before, limit = { .rlim_cur = DESCRIPTORS };
	struct access access = { 0 };
	struct counter open;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	limit.rlim_max = before.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	connections_open(&connections, &access, &open);
	assert_in_range(connections.batch, 1, CONNECTIONS_BATCH_MAX);
	assert_in_range(connections.capacity, 1,
			DESCRIPTORS - count_descriptors() - connections.batch);
	setrlimit(RLIMIT_NOFILE, &before);
	connections_open(&connections, &access, &open);
	assert_in_range(connections.capacity, 1, CONNECTIONS_MAX);
	setrlimit(RLIMIT_NOFILE, &before);
}

/* Adds a connection to full connections. Returns the slot of the evicted one. */
static size_t evict(struct connections *connections, struct event_base *base,
		    struct bufferevent **added)
{
	size_t slot = 0;

	*added = connections_add(connections, base);
	while (connections->slots[slot].stream != *added)
		slot++;
	return slot;
}

/* One that waits for its reply stays, also if it is older than an idle one. */
static void an_idle_connection_is_evicted_first(void **state)
{
	static struct connections connections;
	struct event_base *base = event_base_new();
	struct bufferevent *streams[6];
	struct access access = { 0 };
	struct counter open;

	(void)state;
	connections_open(&connections, &access, &open);
	connections.capacity = 3;
	for (int i = 0; i < 3; i++) {
		streams[i] = connections_add(&connections, base);
		connections.slots[i].since = i + 1;
		connections.slots[i].replied = i > 0;
	}
	assert_int_equal(evict(&connections, base, &streams[3]), 1); /* the oldest idle one */
	assert_int_equal(evict(&connections, base, &streams[4]), 2);
	assert_int_equal(evict(&connections, base, &streams[5]), 0); /* none is idle */
	for (int i = 0; i < 3; i++)
		bufferevent_decref(connections.slots[i].stream);
	for (int i = 0; i < 6; i++)
		bufferevent_free(streams[i]);
	event_base_free(base);
}

static void a_stamp_is_digits_and_points(void **state)
{
	static const char *const good[] = { "0", "1795469446.123", "...",
					    "12345678901234567890123456789012" };
	static const char *const bad[] = {
		"", "-1", "1e5", "1 ", "1&x=1", "<script>", "123456789012345678901234567890123"
	};
	char stamp[QUERY_STAMP_SIZE];

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_true(query_read_stamp(good[i], stamp));
		assert_string_equal(stamp, good[i]);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(query_read_stamp(bad[i], stamp));
}

static void a_host_has_no_special_characters(void **state)
{
	(void)state;
	assert_true(query_is_host("time.example") && query_is_host("[fe80::1%eth0]"));
	assert_true(query_is_host("time.example:80") && query_is_host("192.0.2.1:65535") &&
		    query_is_host("[::1]:8037") && query_is_host("x:"));
	assert_false(query_is_host("[]") || query_is_host("[::1") || query_is_host("::1") ||
		     query_is_host("a:b") || query_is_host("a:1:2") || query_is_host(":80") ||
		     query_is_host("a]") || query_is_host("[::1]x") || query_is_host("a:123456"));
	assert_false(query_is_host("") || query_is_host("x\xe4") || query_is_host("<b>") ||
		     query_is_host("a b") || query_is_host("a\"b"));
}

static void the_preferred_language_is_chosen(void **state)
{
	static const struct {
		const char *header;
		enum query_language language;
	} cases[] = {
		{ "", QUERY_ENGLISH },
		{ "de", QUERY_ENGLISH },
		{ "en", QUERY_ENGLISH },
		{ "zh", QUERY_CHINESE },
		{ "zh-CN,zh;q=0.9,en;q=0.8", QUERY_CHINESE },
		{ "en-US,en;q=0.9,zh;q=0.8", QUERY_ENGLISH },
		{ "en;q=0.8,zh-TW;q=0.9", QUERY_CHINESE },
		{ "en;q=0.8, ZH-Hans", QUERY_CHINESE },
		{ "de,fr;q=0.9,zh;q=0.1", QUERY_CHINESE },
		{ "zh;q=0", QUERY_ENGLISH },
		{ "zhx,zz", QUERY_ENGLISH },
		{ "zh;q=0.5,en;q=0.5", QUERY_CHINESE },
		{ "zh;q=", QUERY_ENGLISH },
		{ "zh;q=0.5.7.9.1.1.1.1,en;q=0.4", QUERY_CHINESE },
		{ ",,, ,zh", QUERY_CHINESE },
		{ "zh ;q=0.1, en\t; Q=0.9", QUERY_ENGLISH },
		{ "en ; q = 0.1 , zh", QUERY_CHINESE },
		{ "en;level=1,zh;q=0.9", QUERY_ENGLISH },
		{ "z", QUERY_ENGLISH },
		{ "zh", QUERY_CHINESE },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(query_choose_language(cases[i].header), cases[i].language);
}

/* Reads a list that holds text. */
static struct leap read_list(const char *text)
{
	char path[] = "/tmp/leap-XXXXXX";
	int fd = mkstemp(path);
	struct leap leap;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
	leap_read_file(&leap, path);
	unlink(path);
	return leap;
}

#define NEW_YEAR INT64_C(1483228800) /* 2017-01-01, after the latest leap second */

static void a_list_of_leap_seconds(void **state)
{
	struct leap leap = read_list("# comment\n#$ 3676924800\n#@\t3707596800\n"
				     "3644697600\t36\t# 1 Jul 2015\n3692217600 37 # 1 Jan 2017\n");

	(void)state;
	assert_true(leap_is_known(&leap, NEW_YEAR));
	assert_true(leap_is_known(&leap, 1435708800)); /* 1 July 2015: the list begins */
	assert_false(leap_is_known(&leap, 1435708799));
	assert_false(leap_is_known(&leap, 0)); /* a clock that was never set */
	assert_int_equal(leap_offset(&leap, NEW_YEAR - 1), 36);
	assert_int_equal(leap_offset(&leap, NEW_YEAR), 37);
	assert_int_equal(leap.change, NEW_YEAR);
	assert_true(leap_is_known(&leap, 1498607999));
	assert_false(leap_is_known(&leap, 1498608000)); /* 28 June 2017 */
}

static void days_that_can_end_with_a_leap_second(void **state)
{
	(void)state;
	assert_true(leap_may_end_day(NEW_YEAR - 1));
	assert_true(leap_may_end_day(NEW_YEAR - 86400));
	assert_false(leap_may_end_day(NEW_YEAR - 86401));
	assert_false(leap_may_end_day(NEW_YEAR));
	assert_true(leap_may_end_day(1709164800)); /* 29 February 2024 */
	assert_false(leap_may_end_day(1709164799));
}

/* No list, a list without an expiry date, and a list without entries. */
static void an_incomplete_list_is_not_used(void **state)
{
	static const char *const lists[] = {
		"",
		"3692217600 37\n",
		"#@ 3707596800\n",
		"nonsense\n3692217600\n#@ 3707596800\n",
	};
	char directory[] = "/tmp/leap-XXXXXX", fifo[64];
	struct leap leap;

	(void)state;
	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		leap = read_list(lists[i]);
		assert_false(leap_is_known(&leap, 0));
		assert_false(leap_is_known(&leap, NEW_YEAR));
	}
	leap_read_file(&leap, "/nowhere");
	assert_false(leap_is_known(&leap, 0));
	assert_non_null(mkdtemp(directory));
	snprintf(fifo, sizeof(fifo), "%s/fifo", directory);
	assert_int_equal(mkfifo(fifo, 0600), 0);
	alarm(10); /* ends a read that blocks */
	leap_read_file(&leap, fifo);
	alarm(0);
	assert_false(leap_is_known(&leap, 0));
	unlink(fifo);
	rmdir(directory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(networks_are_told_apart_with_a_random_key),
		cmocka_unit_test(connections_are_limited_by_descriptors),
		cmocka_unit_test(an_idle_connection_is_evicted_first),
		cmocka_unit_test(a_stamp_is_digits_and_points),
		cmocka_unit_test(a_host_has_no_special_characters),
		cmocka_unit_test(the_preferred_language_is_chosen),
		cmocka_unit_test(a_list_of_leap_seconds),
		cmocka_unit_test(days_that_can_end_with_a_leap_second),
		cmocka_unit_test(an_incomplete_list_is_not_used),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
