/* "clock follow" beside a server that does not reply to all requests: by a rate limit as chronyd has
 * it, by lost packets, or for ever. Time is virtual. */
#include "follow_server.h"

#define STEP	(10 * MS)
#define LOOK	(250 * MS)
#define LOOKS	400
#define RUNS	100
#define PERCENT 100

/* A token bucket like that of chronyd's "ratelimit", and the loss each way. */
struct server {
	int64_t interval; /* of the tokens; 0: no limit */
	unsigned burst;
	unsigned leak; /* of the requests above the limit, 1 in leak gets a reply */
	unsigned loss; /* in percent */
	uint32_t random;
	int64_t filled; /* the time up to which tokens were filled in */
	unsigned tokens;
};

/* The xorshift of Marsaglia: the same in every run of the test. */
static unsigned draw(struct server *server, unsigned limit)
{
	server->random ^= server->random << 13;
	server->random ^= server->random >> 17;
	server->random ^= server->random << 5;
	return server->random % limit;
}

static bool is_let_through(struct server *server, int64_t now)
{
	if (server->interval == 0)
		return true;
	for (; now - server->filled >= server->interval; server->filled += server->interval)
		server->tokens += server->tokens < server->burst;
	if (server->tokens == 0)
		return draw(server, server->leak) == 0;
	server->tokens--;
	return true;
}

static void serve(struct server *server, int64_t now)
{
	struct ntp_packet request, reply;

	while (receive(&request)) {
		if (draw(server, PERCENT) < server->loss || !is_let_through(server, now) ||
		    draw(server, PERCENT) < server->loss)
			continue;
		reply = reply_to(&request);
		send_reply(&reply, now);
	}
}

/* Follows server for the time of all looks; returns at how many of them, after the first
 * synchronisation, the clock was not synchronised. */
static unsigned count_unsynchronised(struct server *server)
{
	int64_t now = 0, end = 20 * CLOCK_SECOND;
	unsigned unsynchronised = 0;

	for (; test.follow.reason && now < end; now += STEP) {
		follow_tick(&test.follow, now);
		serve(server, now);
	}
	assert_synchronised();
	for (end = now + LOOKS * LOOK; now < end; now += STEP) {
		follow_tick(&test.follow, now);
		serve(server, now);
		if ((end - now) % LOOK == 0)
			unsynchronised += test.follow.reason != NULL;
	}
	return unsynchronised;
}

/* In many runs, each with other random numbers. */
static unsigned count_in_runs(const struct server *server)
{
	unsigned unsynchronised = 0;

	for (uint32_t run = 1; run <= RUNS; run++) {
		struct server copy = *server;

		follow_close(&test.follow);
		follow_open(&test.follow, &test.source, 0);
		copy.random = run * 2654435761U;
		copy.tokens = copy.burst;
		unsynchronised += count_unsynchronised(&copy);
	}
	return unsynchronised;
}

/* The default, "interval 1 burst 8", and what is stricter. */
static void a_rate_limit_does_not_unsynchronise(void **cmocka)
{
	static const struct server servers[] = {
		{ .interval = 8 * CLOCK_SECOND, .burst = 8, .leak = 4 },
		{ .interval = 8 * CLOCK_SECOND, .burst = 8, .leak = UINT32_MAX },
		{ .interval = 2 * CLOCK_SECOND, .burst = 8, .leak = 4 },
		{ .interval = 16 * CLOCK_SECOND, .burst = 1, .leak = 4 },
	};

	(void)cmocka;
	for (size_t i = 0; i < sizeof(servers) / sizeof(servers[0]); i++)
		assert_int_equal(count_in_runs(&servers[i]), 0);
}

/* In the end far fewer requests than the usual 400 in 100 s, of which the limit lets 13 through. */
static void a_rate_limit_slows_requests_down(void **cmocka)
{
	struct server server = { .interval = 8 * CLOCK_SECOND, .burst = 8, .leak = 4, .random = 1 };
	int64_t now = 0;

	(void)cmocka;
	for (; now < 100 * CLOCK_SECOND; now += STEP) {
		follow_tick(&test.follow, now);
		serve(&server, now);
	}
	test.follow.asked = 0;
	for (; now < 200 * CLOCK_SECOND; now += STEP) {
		follow_tick(&test.follow, now);
		serve(&server, now);
	}
	assert_in_range(test.follow.asked, 13, 60);
}

static void lost_packets_do_not_unsynchronise(void **cmocka)
{
	static const unsigned losses[] = { 10, 20, 30 };

	(void)cmocka;
	for (size_t i = 0; i < sizeof(losses) / sizeof(losses[0]); i++) {
		struct server server = { .loss = losses[i] };

		assert_in_range(count_in_runs(&server), 0, RUNS * LOOKS / PERCENT);
	}
}

/* As in timeserver.conf(5), from the last reply. */
static void an_ended_server_is_noticed_in_time(void **cmocka)
{
	static const struct {
		int64_t interval, lost; /* milliseconds */
	} rows[] = {
		{ 250, 32000 },	   { 500, 40000 },    { 1000, 48000 },
		{ 2000, 56000 },   { 4000, 64000 },   { 8000, 72000 },
		{ 16000, 144000 }, { 32000, 288000 }, { 64000, 576000 },
	};

	(void)cmocka;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int64_t now = 0;

		follow_close(&test.follow);
		follow_open(&test.follow, &test.source, 0);
		exchange(now);
		test.follow.interval = rows[i].interval * MS;
		now = test.follow.next;
		exchange(now);
		for (int64_t end = now + rows[i].lost * MS; now < end; now += STEP) {
			follow_tick(&test.follow, now);
			assert_synchronised();
		}
		follow_tick(&test.follow, now);
		assert_unsynchronised("does not reply");
		count_requests();
	}
}

/* The time above counts from any reply. */
static void a_reply_ends_the_longer_pauses(void **cmocka)
{
	int64_t now;

	(void)cmocka;
	exchange(0);
	for (now = 0; now < 16 * CLOCK_SECOND; now += STEP)
		follow_tick(&test.follow, now);
	count_requests();
	exchange(now);
	assert_int_equal(test.follow.interval, 500 * MS);
	assert_int_equal(follow_tick(&test.follow, now), now + 500 * MS);
}

/* This host refuses its port: after three requests, at whatever interval. A server that is started
 * again meanwhile is not lost. */
static void an_ended_server_on_this_host_is_noticed_at_once(void **cmocka)
{
	struct address address;

	(void)cmocka;
	assert_true(address_parse(&address, "127.0.0.1", test.source.port));
	exchange(0);
	exchange(250 * MS);
	test.follow.next = 8000 * MS;
	for (unsigned i = 0; i < 3; i++) {
		assert_synchronised();
		close(test.socket);
		follow_tick(&test.follow, (8000 + 250 * i) * MS);
		follow_receive(&test.follow, (8000 + 250 * i) * MS);
		test.socket = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		assert_int_equal(bind(test.socket, &address.any, address_length(&address)), 0);
		if (i < 2)
			assert_int_equal(test.follow.next, (8250 + 250 * i) * MS);
	}
	assert_unsynchronised("does not reply: nothing listens on its port");
	exchange(test.follow.next);
	assert_synchronised();
	assert_int_equal(test.follow.refused, 0);
}

/* Anyone can forge it; of this host, only the kernel sends it. */
static void an_error_from_the_network_is_ignored(void **cmocka)
{
	struct address address;

	(void)cmocka;
	assert_true(address_parse(&address, "127.0.0.1", test.source.port));
	exchange(0);
	test.follow.same_host = false;
	close(test.socket);
	for (unsigned i = 1; i <= 4; i++) {
		follow_tick(&test.follow, test.follow.next);
		follow_receive(&test.follow, test.follow.next);
		assert_synchronised();
	}
	assert_int_equal(test.follow.refused, 0);
	test.socket = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(test.socket, &address.any, address_length(&address)), 0);
}

/* The root dispersion of the last state grows by 15 microseconds a second, one unit of the format
 * in 1.02 s, and no reply comes but RATE. */
static void a_root_distance_of_a_second_is_the_end(void **cmocka)
{
	struct ntp_packet request, reply;
	int64_t now = 0, limit;

	(void)cmocka;
	follow_tick(&test.follow, 0);
	assert_true(receive(&request));
	reply = reply_to(&request);
	reply.root_dispersion = CLOCK_SHORT_SECOND - 200;
	send_reply(&reply, 0);
	assert_synchronised();
	limit = (CLOCK_SHORT_SECOND - test.follow.state.root_dispersion) * CLOCK_SECOND;
	for (; !test.follow.reason && now < 300 * CLOCK_SECOND; now += STEP) {
		follow_tick(&test.follow, now);
		test.follow.unanswered = 0; /* the server would be lost before */
	}
	assert_in_range(now, limit - 2 * CLOCK_SECOND, limit * 102 / 100);
	assert_unsynchronised("has a root distance of a second or more");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_rate_limit_does_not_unsynchronise),
		TEST(a_rate_limit_slows_requests_down),
		TEST(lost_packets_do_not_unsynchronise),
		TEST(an_ended_server_is_noticed_in_time),
		TEST(a_reply_ends_the_longer_pauses),
		TEST(an_ended_server_on_this_host_is_noticed_at_once),
		TEST(an_error_from_the_network_is_ignored),
		TEST(a_root_distance_of_a_second_is_the_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
