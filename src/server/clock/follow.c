#include "server/clock/follow.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/hash.h"
#include "clock/stamp.h"

/* A socket is replaced after this many requests, and so is its random port, which a forger would
 * have to guess (RFC 9109). */
#define SOCKET_REQUESTS 64

/* How often to poll a look-up. */
#define LOOKUP_INTERVAL (20 * CLOCK_MILLISECOND)

/* Replies taken in one go: the monitor has other events too. */
#define RECEIVE_MAX 16

static void set_unsynchronised(struct follow *follow, uint32_t reference, const char *reason)
{
	clock_state_unsynchronised(&follow->state, reference);
	follow->reason = reason;
}

void follow_open(struct follow *follow, const struct config_clock *source, int64_t now)
{
	*follow = (struct follow){
		.source = source,
		.socket = -1,
		.interval = FOLLOW_INTERVAL,
		.retry_backoff = FOLLOW_BACKOFF,
		.next = now,
	};
	set_unsynchronised(follow, CLOCK_REFERENCE_INIT, "has not replied yet");
}

static void close_socket(struct follow *follow)
{
	fd_close(&follow->socket);
	follow->asked = 0;
	memset(follow->requests, 0, sizeof(follow->requests));
}

void follow_close(struct follow *follow)
{
	close_socket(follow);
	lookup_release(follow->lookup);
	follow->lookup = NULL;
}

/* Replaces the socket; if that fails, as without a descriptor or a route, the present one stays. */
static bool open_socket(struct follow *follow)
{
	const struct address *server = &follow->server;
	int fd = socket(server->any.sa_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0 || connect(fd, &server->any, address_length(server)) < 0) {
		fd_close(&fd);
		return false;
	}
	/* If it fails the clock is read instead, a little after the arrival. */
	stamp_enable(fd);
	close_socket(follow);
	follow->socket = fd;
	follow->same_host = address_is_own(server);
	return true;
}

/* A name is looked up every time: its address may have changed. */
static enum lookup_result find_server(struct follow *follow)
{
	const struct config_clock *source = follow->source;
	enum lookup_result result;

	if (address_parse(&follow->server, source->host, source->port))
		return LOOKUP_FOUND;
	if (!follow->lookup)
		follow->lookup = lookup_start(source->host);
	if (!follow->lookup)
		return LOOKUP_FAILED;
	result = lookup_poll(follow->lookup, follow->attempt, source->port, &follow->server);
	if (result != LOOKUP_PENDING) {
		lookup_release(follow->lookup);
		follow->lookup = NULL;
	}
	return result;
}

/* Sets next to when to go on: now, if the server was found. */
static void find_and_connect(struct follow *follow, int64_t now)
{
	enum lookup_result result = find_server(follow);

	if (result == LOOKUP_PENDING) {
		follow->next = now + LOOKUP_INTERVAL;
		return;
	}
	follow->attempt++;
	if (result == LOOKUP_FOUND && open_socket(follow)) {
		follow->found = now;
		return;
	}
	set_unsynchronised(follow, CLOCK_REFERENCE_INIT,
			   result == LOOKUP_FOUND ? "cannot be reached" : "cannot be found");
	follow->next = now + CLOCK_SECOND;
}

/* The request holds a random nonce, which only the server and hosts on the path see, and nothing of
 * this clock (RFC 9109). */
static void send_request(struct follow *follow, int64_t now)
{
	struct ntp_packet packet = { .version = NTP_VERSION, .mode = NTP_MODE_CLIENT };
	struct follow_request *request = &follow->requests[follow->asked++ % FOLLOW_REQUESTS];
	uint8_t bytes[NTP_PACKET_SIZE];
	struct bytes_writer writer = bytes_writer_open(bytes, sizeof(bytes));

	*request = (struct follow_request){ .asked = now };
	packet.transmit = hash_key_make().low;
	request->nonce = packet.transmit;
	ntp_packet_write(&packet, &writer);
	request->sent = clock_read_ntp();
	/* If it cannot be sent, no reply comes. */
	(void)!send(follow->socket, bytes, bytes_written(&writer), MSG_NOSIGNAL);
}

/* The pause after the next request. Each unanswered request doubles it. */
static int64_t pause_of(const struct follow *follow)
{
	int64_t longest = follow->reason ? FOLLOW_PAUSE_LOST : FOLLOW_PAUSE_MAX;
	int64_t pause = follow->interval;

	for (unsigned i = 0; i < follow->unanswered && pause < longest; i++)
		pause = clock_earlier(2 * pause, longest);
	return pause;
}

static void set_lost(struct follow *follow)
{
	set_unsynchronised(follow, CLOCK_REFERENCE_INIT,
			   follow->problem ? follow->problem : "does not reply");
}

/* Sends the next request, or goes on looking for a server. */
static void poll_server(struct follow *follow, int64_t now)
{
	if (follow->socket >= 0 && follow->unanswered >= FOLLOW_LOST)
		set_lost(follow);
	if (follow->socket >= 0 && follow->reason && follow->unanswered > 0 &&
	    now >= follow->found + follow->retry_backoff) {
		follow->retry_backoff =
			clock_earlier(2 * follow->retry_backoff, FOLLOW_BACKOFF_MAX);
		close_socket(follow);
	} else if (follow->asked >= SOCKET_REQUESTS) {
		open_socket(follow);
	}
	if (follow->socket < 0)
		find_and_connect(follow, now);
	if (follow->socket < 0)
		return;
	follow->next = now + pause_of(follow);
	send_request(follow, now);
	follow->unanswered++;
}

/* The last good state serves until then, with its root dispersion growing. */
static bool is_distant(const struct follow *follow, int64_t now)
{
	struct clock_state state = follow->state;

	state.root_dispersion = clock_state_root_dispersion(&state, now);
	return clock_state_root_distance(&state) >= CLOCK_DISTANCE_MAX;
}

int64_t follow_tick(struct follow *follow, int64_t now)
{
	if (!follow->reason && is_distant(follow, now))
		set_unsynchronised(follow, CLOCK_REFERENCE_INIT,
				   ntp_client_describe(NTP_CLIENT_DISTANCE));
	if (now >= follow->next)
		poll_server(follow, now);
	return follow->next;
}

/* Lengthens the interval if requests were unanswered before this reply, and shortens it after a
 * number of answered ones: it adapts to what the path and the server's rate limit let through. */
static void adapt_interval(struct follow *follow)
{
	unsigned misses = follow->unanswered > 0 ? follow->unanswered - 1 : 0;

	if (misses == 0 && ++follow->hits < FOLLOW_HITS)
		return;
	if (misses == 0)
		follow->interval = follow->interval / 2 > FOLLOW_INTERVAL ? follow->interval / 2 :
									    FOLLOW_INTERVAL;
	else if (misses >= FOLLOW_MISSES && follow->interval < FOLLOW_PAUSE_MAX)
		follow->interval *= 2;
	follow->hits = follow->hits < 0 ? follow->hits : 0;
}

/* RATE says nothing about the clock: the state stays as it is. The pause may be longer already,
 * after requests without a reply. */
static void process_rate(struct follow *follow, int64_t now)
{
	follow->interval = clock_earlier(2 * follow->interval, FOLLOW_INTERVAL_MAX);
	follow->hits = FOLLOW_HITS - FOLLOW_HITS_RATED;
	if (follow->next < now + follow->interval)
		follow->next = now + follow->interval;
	follow->problem = "asks for fewer requests (kiss code RATE)";
	if (follow->reason)
		follow->reason = follow->problem;
}

#define KOD_RATE CLOCK_REFERENCE('R', 'A', 'T', 'E')
#define KOD_DENY CLOCK_REFERENCE('D', 'E', 'N', 'Y')
#define KOD_RSTR CLOCK_REFERENCE('R', 'S', 'T', 'R')

/* A kiss code (RFC 5905 section 7.4) comes from the server: the packet has the nonce. */
static void process_reply(struct follow *follow, enum ntp_client_verdict verdict,
			  const struct clock_state *state, uint32_t kod, int64_t now)
{
	follow->retry_backoff = FOLLOW_BACKOFF;
	follow->refused = 0;
	if (verdict == NTP_CLIENT_KISS && kod == KOD_RATE) {
		process_rate(follow, now);
		return;
	}
	adapt_interval(follow);
	follow->next = clock_earlier(follow->next, now + follow->interval);
	follow->unanswered = 0;
	follow->problem = NULL;
	follow->state = *state;
	follow->reason = verdict == NTP_CLIENT_OK ? NULL : ntp_client_describe(verdict);
	if (verdict == NTP_CLIENT_KISS && (kod == KOD_DENY || kod == KOD_RSTR)) {
		follow->next = now + FOLLOW_DENY_BACKOFF;
		follow->reason = "refuses requests (kiss code DENY or RSTR)";
	}
}

/* A late reply does not change the clock state, but explains why there is none. */
static void process_late_reply(struct follow *follow)
{
	follow->problem = "replies after more than a second";
	if (follow->reason)
		follow->reason = follow->problem;
}

/* Finds the request of a reply; each request takes one. The error of a reply without a request is
 * kept for the log. */
static void match_reply(struct follow *follow, const void *bytes, size_t size,
			clock_ntp_time received, int64_t now)
{
	struct ntp_reference_context context = {
		.exchange.received = received,
		.monotonic = now,
		.same_host = follow->same_host,
		.reference_id = ntp_reference_id(&follow->server),
	};
	enum ntp_client_verdict verdict, last_error = NTP_CLIENT_SHORT;
	struct clock_state state;
	uint32_t kod = 0;

	for (int i = 0; i < FOLLOW_REQUESTS; i++) {
		struct follow_request *request = &follow->requests[i];

		context.exchange.nonce = request->nonce;
		context.exchange.sent = request->sent;
		verdict = ntp_reference_from_reply(&context, bytes, size, &state, &kod);
		if (ntp_client_is_reply(verdict)) {
			request->nonce = 0;
			follow->found = now;
			if (now - request->asked <= FOLLOW_REPLY_MAX_AGE)
				process_reply(follow, verdict, &state, kod, now);
			else
				process_late_reply(follow);
			return;
		}
		last_error = verdict > last_error ? verdict : last_error;
	}
	follow->problem = ntp_client_describe(last_error);
}

static clock_ntp_time stamp_of(struct msghdr *message)
{
	struct timespec stamp;

	return stamp_find(message, &stamp) ? clock_to_ntp(&stamp) : clock_read_ntp();
}

/* No socket of this host has the server's port: so it has ended. A few requests make sure of that:
 * a forger of the error cannot keep the replies away. An error from the network is ignored. */
static void process_refusal(struct follow *follow, int64_t now)
{
	if (!follow->same_host || follow->reason || follow->refused >= follow->unanswered)
		return;
	follow->problem = "does not reply: nothing listens on its port";
	follow->next = clock_earlier(follow->next, now + FOLLOW_INTERVAL);
	if (++follow->refused >= FOLLOW_REFUSED)
		set_lost(follow);
}

void follow_receive(struct follow *follow, int64_t now)
{
	uint8_t bytes[NTP_PACKET_SIZE];

	for (int i = 0; i < RECEIVE_MAX && follow->socket >= 0; i++) {
		_Alignas(struct cmsghdr) char control[2 * STAMP_CONTROL_SIZE];
		struct iovec parts = { .iov_base = bytes, .iov_len = sizeof(bytes) };
		struct msghdr message = {
			.msg_iov = &parts,
			.msg_iovlen = 1,
			.msg_control = control,
			.msg_controllen = sizeof(control),
		};
		ssize_t size = recvmsg(follow->socket, &message, 0);

		if (size < 0) {
			if (errno == ECONNREFUSED)
				process_refusal(follow, now);
			return;
		}
		match_reply(follow, bytes, (size_t)size, stamp_of(&message), now);
	}
}

void follow_forget(struct follow *follow, int64_t now)
{
	memset(follow->requests, 0, sizeof(follow->requests));
	follow->unanswered = 0;
	if (!follow->reason)
		follow->next = clock_earlier(follow->next, now + FOLLOW_PAUSE_LOST);
	set_unsynchronised(follow, CLOCK_REFERENCE_STEP, "has not replied since the clock was set");
}

const char *follow_state(const struct follow *follow, struct clock_state *state)
{
	*state = follow->state;
	return follow->reason;
}
