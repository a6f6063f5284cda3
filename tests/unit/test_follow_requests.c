/* "clock follow": requests to the server, and what its replies change. */
#include <sys/resource.h>

#include "follow_server.h"

static void requests_are_sent_four_times_a_second(void **cmocka)
{
	struct ntp_packet requests[4] = { 0 }, reply;

	(void)cmocka;
	assert_unsynchronised("has not replied yet");
	for (unsigned i = 0; i < 4; i++) {
		int64_t now = i * 250 * MS;

		follow_tick(&test.follow, now);
		assert_true(receive(&requests[i]));
		for (unsigned j = 0; j < i; j++)
			assert_int_not_equal(requests[i].transmit, requests[j].transmit);
		reply = reply_to(&requests[i]);
		send_reply(&reply, now + 1 * MS);
		assert_int_equal(follow_tick(&test.follow, now + 249 * MS), now + 250 * MS);
		assert_int_equal(count_requests(), 0);
	}
}

static void a_duplicate_reply_is_ignored(void **cmocka)
{
	struct ntp_packet request, reply;

	(void)cmocka;
	follow_tick(&test.follow, 0);
	assert_true(receive(&request));
	reply = reply_to(&request);
	send_reply(&reply, 1 * MS);
	assert_synchronised();
	reply.leap = CLOCK_LEAP_UNKNOWN;
	send_reply(&reply, 2 * MS);
	assert_synchronised();
}

static void a_reply_to_an_earlier_request_is_accepted(void **cmocka)
{
	struct ntp_packet first, request, reply;

	(void)cmocka;
	follow_tick(&test.follow, 0);
	assert_true(receive(&first));
	for (int64_t now = 250 * MS; now < 1000 * MS; now += 500 * MS) {
		follow_tick(&test.follow, now);
		assert_true(receive(&request));
	}
	reply = reply_to(&first);
	send_reply(&reply, 999 * MS);
	assert_synchronised();
}

static void a_late_reply_is_ignored_and_named(void **cmocka)
{
	struct ntp_packet request, reply;

	(void)cmocka;
	follow_tick(&test.follow, 0);
	assert_true(receive(&request));
	reply = reply_to(&request);
	send_reply(&reply, 1001 * MS);
	assert_unsynchronised("replies after more than a second");
	exchange(1002 * MS);
	assert_synchronised();
}

/* Every reply takes 1.2 s: the server is lost, for that reason. */
static void a_long_round_trip_is_named(void **cmocka)
{
	struct ntp_packet request, replies[64];
	int64_t sent[64];
	unsigned requests = 0, replied = 0;

	(void)cmocka;
	exchange(0);
	for (int64_t now = 0; now < 60 * CLOCK_SECOND; now += 10 * MS) {
		follow_tick(&test.follow, now);
		if (receive(&request)) {
			sent[requests] = now;
			replies[requests++] = reply_to(&request);
		}
		if (replied < requests && now - sent[replied] >= 1200 * MS)
			send_reply(&replies[replied++], now);
	}
	assert_unsynchronised("replies after more than a second");
}

static void a_silent_server_is_lost(void **cmocka)
{
	int64_t now;

	(void)cmocka;
	exchange(0);
	assert_synchronised();
	for (now = 0; now < 32 * CLOCK_SECOND; now += 10 * MS) {
		assert_true(follow_tick(&test.follow, now) <= 32 * CLOCK_SECOND);
		assert_synchronised();
	}
	assert_true(follow_tick(&test.follow, now) <= 33 * CLOCK_SECOND);
	assert_unsynchronised("does not reply");
	count_requests();
	exchange(33 * CLOCK_SECOND);
	assert_synchronised();
}

/* A reply with a wrong origin neither refreshes nor unsynchronises the clock state. */
static void forged_replies_change_nothing(void **cmocka)
{
	struct ntp_packet forged = { 0 };

	(void)cmocka;
	exchange(0);
	forged = reply_to(&forged);
	forged.leap = CLOCK_LEAP_UNKNOWN;
	for (int64_t now = 0; now < 32 * CLOCK_SECOND; now += 50 * MS) {
		forged.origin = (clock_ntp_time)now;
		send_reply(&forged, now);
		follow_tick(&test.follow, now);
		assert_synchronised();
	}
	follow_tick(&test.follow, 32 * CLOCK_SECOND);
	assert_unsynchronised("sent a reply with the wrong origin");
}

static void a_server_with_another_time_is_lost_at_once(void **cmocka)
{
	struct ntp_packet request, reply;

	(void)cmocka;
	exchange(0);
	follow_tick(&test.follow, 250 * MS);
	assert_true(receive(&request));
	reply = reply_to(&request);
	reply.transmit += UINT64_C(1) << 32;
	reply.receive = reply.transmit;
	send_reply(&reply, 251 * MS);
	assert_unsynchronised("differs from this clock by more than 128 ms");
}

static void a_rate_kod_doubles_the_interval(void **cmocka)
{
	int64_t now = 0, interval = 250 * MS;

	(void)cmocka;
	for (int i = 0; i < 12; i++) {
		reply_with_kod("RATE", now);
		assert_unsynchronised("asks for fewer requests (kiss code RATE)");
		interval = 2 * interval < 64 * CLOCK_SECOND ? 2 * interval : 64 * CLOCK_SECOND;
		assert_int_equal(follow_tick(&test.follow, now), now + interval);
		assert_int_equal(follow_tick(&test.follow, now + interval - 1), now + interval);
		assert_int_equal(count_requests(), 0);
		now += interval;
	}
	exchange(now);
	assert_synchronised();
	assert_int_equal(follow_tick(&test.follow, now), now + interval);
}

/* Six requests without a reply make the pause 8 s. */
static void a_rate_kod_shortens_no_pause(void **cmocka)
{
	int64_t now = 0;

	(void)cmocka;
	exchange(0);
	for (int i = 0; i < 5; i++) {
		now = test.follow.next;
		follow_tick(&test.follow, now);
		assert_int_equal(count_requests(), 1);
	}
	now = test.follow.next;
	reply_with_kod("RATE", now);
	assert_int_equal(test.follow.interval, 500 * MS);
	assert_int_equal(follow_tick(&test.follow, now), now + 8 * CLOCK_SECOND);
	assert_synchronised();
}

/* The state of the last time reply stays, and its error bound grows from there. */
static void a_rate_kod_is_no_doubt_of_the_clock(void **cmocka)
{
	struct clock_state before, state;

	(void)cmocka;
	exchange(0);
	follow_state(&test.follow, &before);
	reply_with_kod("RATE", 250 * MS);
	assert_synchronised();
	follow_state(&test.follow, &state);
	assert_int_equal(state.reference_time, before.reference_time);
	assert_int_equal(state.root_dispersion, before.root_dispersion);
	assert_int_equal(state.measured, 0);
	assert_int_equal(state.drift_ppm, CLOCK_DRIFT_PPM);
}

/* Nor a confirmation: a server that sends nothing else is lost after eight requests, with pauses of
 * 0.5, 1, 4, 8, 8, 16, 32 and 64 s. */
static void rate_kods_alone_do_not_keep_the_clock(void **cmocka)
{
	int64_t now = 250 * MS;

	(void)cmocka;
	exchange(0);
	for (int i = 0; i < 8; i++) {
		reply_with_kod("RATE", now);
		assert_synchronised();
		now = test.follow.next;
	}
	assert_int_equal(now, 250 * MS + 133500 * MS);
	follow_tick(&test.follow, now);
	assert_unsynchronised("asks for fewer requests (kiss code RATE)");
}

/* After the first time reply and sixteen more, then after four each. */
static void the_interval_becomes_shorter_again(void **cmocka)
{
	unsigned replies = 0;

	(void)cmocka;
	exchange(0);
	reply_with_kod("RATE", test.follow.next);
	reply_with_kod("RATE", test.follow.next);
	assert_int_equal(test.follow.interval, 1000 * MS);
	for (; test.follow.interval > 250 * MS; replies++)
		exchange(test.follow.next);
	assert_int_equal(replies, 1 + FOLLOW_HITS_RATED + FOLLOW_HITS);
	for (; replies < 100; replies++)
		exchange(test.follow.next);
	assert_int_equal(test.follow.interval, 250 * MS);
}

static void a_deny_kod_stops_requests_for_a_minute(void **cmocka)
{
	static const char *const codes[] = { "DENY", "RSTR" };

	(void)cmocka;
	for (int i = 0; i < 2; i++) {
		int64_t now = i * 60 * CLOCK_SECOND;

		reply_with_kod(codes[i], now);
		assert_unsynchronised("refuses requests (kiss code DENY or RSTR)");
		for (int64_t second = 0; second < 60; second++)
			follow_tick(&test.follow, now + second * CLOCK_SECOND);
		assert_unsynchronised("refuses requests (kiss code DENY or RSTR)");
		assert_int_equal(count_requests(), 0);
	}
	exchange(120 * CLOCK_SECOND);
	assert_synchronised();
}

static void other_kods_do_not_stop_requests(void **cmocka)
{
	(void)cmocka;
	exchange(0);
	reply_with_kod("INIT", 250 * MS);
	assert_unsynchronised("sent a kiss-o'-death");
	exchange(500 * MS);
	assert_synchronised();
}

static void replies_to_requests_from_before_a_step_are_ignored(void **cmocka)
{
	struct ntp_packet request, reply;
	struct clock_state state;

	(void)cmocka;
	exchange(0);
	follow_tick(&test.follow, 250 * MS);
	assert_true(receive(&request));
	follow_forget(&test.follow, 251 * MS);
	assert_unsynchronised("has not replied since the clock was set");
	follow_state(&test.follow, &state);
	assert_int_equal(state.reference_id, CLOCK_REFERENCE_STEP);
	reply = reply_to(&request);
	send_reply(&reply, 252 * MS);
	assert_unsynchronised("has not replied since the clock was set");
	exchange(500 * MS);
	assert_synchronised();
}

static void the_source_port_changes_every_64_requests(void **cmocka)
{
	uint16_t ports[8], last = 0;
	unsigned changes = 0;

	(void)cmocka;
	for (unsigned i = 0; i < 64 * 8; i++) {
		exchange(i * 250 * MS);
		assert_synchronised();
		if (address_port(&test.client) == last)
			continue;
		last = address_port(&test.client);
		assert_int_equal(i % 64, 0);
		assert_true(changes < 8);
		ports[changes++] = last;
	}
	assert_true(changes >= 7); /* the same port may be drawn twice */
	assert_int_not_equal(ports[0], ports[1]);
}

/* The present socket is used until another one can be opened. */
static void a_shortage_of_descriptors_does_not_unsynchronise(void **cmocka)
{
	struct rlimit limit, none;

	(void)cmocka;
	for (unsigned i = 0; i < 64; i++)
		exchange(test.follow.next);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	none = (struct rlimit){ .rlim_max = limit.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	for (unsigned i = 0; i < 20; i++) {
		exchange(test.follow.next);
		assert_synchronised();
	}
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	exchange(test.follow.next);
	assert_int_equal(test.follow.asked, 1);
}

static void requests_to_a_lost_server_back_off(void **cmocka)
{
	unsigned requests = 0;
	int64_t now = 0;

	(void)cmocka;
	for (; now < 8 * CLOCK_SECOND; now += 10 * MS)
		follow_tick(&test.follow, now);
	assert_in_range(count_requests(), 9, 11);
	for (; now < 600 * CLOCK_SECOND; now += 10 * MS) {
		follow_tick(&test.follow, now);
		requests += count_requests();
	}
	assert_in_range(requests, 550, 650); /* once a second by then */
	assert_int_equal(test.follow.retry_backoff, FOLLOW_BACKOFF_MAX);
	while (follow_tick(&test.follow, now) <= now)
		continue;
	exchange(now + CLOCK_SECOND);
	assert_synchronised();
	assert_int_equal(test.follow.retry_backoff, FOLLOW_BACKOFF);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(requests_are_sent_four_times_a_second),
		TEST(a_duplicate_reply_is_ignored),
		TEST(a_reply_to_an_earlier_request_is_accepted),
		TEST(a_late_reply_is_ignored_and_named),
		TEST(a_long_round_trip_is_named),
		TEST(a_silent_server_is_lost),
		TEST(forged_replies_change_nothing),
		TEST(a_server_with_another_time_is_lost_at_once),
		TEST(a_rate_kod_doubles_the_interval),
		TEST(a_rate_kod_shortens_no_pause),
		TEST(a_rate_kod_is_no_doubt_of_the_clock),
		TEST(rate_kods_alone_do_not_keep_the_clock),
		TEST(the_interval_becomes_shorter_again),
		TEST(a_deny_kod_stops_requests_for_a_minute),
		TEST(other_kods_do_not_stop_requests),
		TEST(replies_to_requests_from_before_a_step_are_ignored),
		TEST(the_source_port_changes_every_64_requests),
		TEST(a_shortage_of_descriptors_does_not_unsynchronise),
		TEST(requests_to_a_lost_server_back_off),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
