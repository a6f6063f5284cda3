#include "server/clock/follow.h"

#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/fd.h"
#include "clock/stamp.h"

/* A socket is replaced after this many requests, and so is its random port, which a forger would
 * have to guess (RFC 9109). */
#define SOCKET_REQUESTS 64

/* A server that is silent for this long gets one request a second. */
#define SILENCE (8 * CLOCK_SECOND)

/* How often to poll a look-up. */
#define LOOKUP_INTERVAL (20 * CLOCK_MILLISECOND)

/* Replies taken in one go: the monitor has other events too. */
#define RECEIVE_MAX 16

static int64_t later(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

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
		.last_reply = now,
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

static bool open_socket(struct follow *follow)
{
	const struct address *server = &follow->server;

	close_socket(follow);
	follow->socket =
		socket(server->any.sa_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (follow->socket < 0)
		return false;
	/* If it fails the clock is read instead, a little after the arrival. */
	stamp_enable(follow->socket);
	if (connect(follow->socket, &server->any, address_length(server)) == 0)
		return true;
	close_socket(follow);
	return false;
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
		follow->last_reply = now;
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
	if (getrandom(&packet.transmit, sizeof(packet.transmit), GRND_NONBLOCK) < 0)
		return;
	request->nonce = packet.transmit;
	ntp_packet_write(&packet, &writer);
	request->sent = clock_read_ntp();
	/* If it cannot be sent, no reply comes. */
	(void)!send(follow->socket, bytes, bytes_written(&writer), MSG_NOSIGNAL);
}

static int64_t lost_at(const struct follow *follow)
{
	return follow->last_reply + FOLLOW_LOST * follow->interval;
}

static int64_t interval_of(const struct follow *follow)
{
	return follow->retry_backoff > SILENCE ? later(follow->interval, CLOCK_SECOND) :
						 follow->interval;
}

/* Sends the next request, or goes on looking for a server. */
static void poll_server(struct follow *follow, int64_t now)
{
	if (follow->socket >= 0 &&
	    now >= later(lost_at(follow), follow->last_reply + follow->retry_backoff)) {
		follow->retry_backoff =
			clock_earlier(2 * follow->retry_backoff, FOLLOW_BACKOFF_MAX);
		close_socket(follow);
	} else if (follow->asked >= SOCKET_REQUESTS && !open_socket(follow)) {
		follow->next = now + CLOCK_SECOND;
		return;
	}
	if (follow->socket < 0)
		find_and_connect(follow, now);
	if (follow->socket < 0)
		return;
	send_request(follow, now);
	follow->next = now + interval_of(follow);
}

int64_t follow_tick(struct follow *follow, int64_t now)
{
	if (follow->socket >= 0 && now >= lost_at(follow))
		set_unsynchronised(follow, CLOCK_REFERENCE_INIT,
				   follow->last_error == NTP_CLIENT_OK ?
					   "does not reply" :
					   ntp_client_describe(follow->last_error));
	if (now >= follow->next)
		poll_server(follow, now);
	return now < lost_at(follow) ? clock_earlier(follow->next, lost_at(follow)) : follow->next;
}

/* RFC 5905 section 7.4. It is the server's own: it has the nonce. */
static void process_kod(struct follow *follow, uint32_t kod, int64_t now)
{
	switch (kod) {
	case CLOCK_REFERENCE('R', 'A', 'T', 'E'):
		follow->interval = clock_earlier(2 * follow->interval, FOLLOW_INTERVAL_MAX);
		follow->next = now + follow->interval;
		follow->reason = "asks for fewer requests (kiss code RATE)";
		break;
	case CLOCK_REFERENCE('D', 'E', 'N', 'Y'):
	case CLOCK_REFERENCE('R', 'S', 'T', 'R'):
		follow->next = now + FOLLOW_DENY_BACKOFF;
		follow->last_reply = follow->next; /* no reply is due until then */
		follow->reason = "refuses requests (kiss code DENY or RSTR)";
		break;
	default:
		break;
	}
}

static void process_reply(struct follow *follow, enum ntp_client_verdict verdict,
			  const struct clock_state *state, uint32_t kod, int64_t now)
{
	follow->last_reply = now;
	follow->retry_backoff = FOLLOW_BACKOFF;
	follow->last_error = NTP_CLIENT_OK;
	follow->state = *state;
	follow->reason = verdict == NTP_CLIENT_OK ? NULL : ntp_client_describe(verdict);
	if (verdict == NTP_CLIENT_KISS)
		process_kod(follow, kod, now);
}

static bool is_loopback(const struct address *address)
{
	uint32_t ip4;

	if (address_ip4(address, &ip4))
		return ip4 >> 24 == 127;
	return IN6_IS_ADDR_LOOPBACK(&address->ip6.sin6_addr);
}

/* Finds the request of a reply; each request takes one. The error of a reply without a request is
 * kept for the log. */
static void match_reply(struct follow *follow, const void *bytes, size_t size,
			clock_ntp_time received, int64_t now)
{
	struct ntp_reference_context context = {
		.exchange.received = received,
		.monotonic = now,
		.same_host = is_loopback(&follow->server),
		.reference_id = ntp_reference_id(&follow->server),
	};
	enum ntp_client_verdict verdict, last_error = NTP_CLIENT_SHORT;
	struct clock_state state;
	uint32_t kod = 0;

	for (int i = 0; i < FOLLOW_REQUESTS; i++) {
		struct follow_request *request = &follow->requests[i];

		context.exchange.nonce =
			now - request->asked <= FOLLOW_REPLY_MAX_AGE ? request->nonce : 0;
		context.exchange.sent = request->sent;
		verdict = ntp_reference_from_reply(&context, bytes, size, &state, &kod);
		if (ntp_client_is_reply(verdict)) {
			request->nonce = 0;
			process_reply(follow, verdict, &state, kod, now);
			return;
		}
		last_error = verdict > last_error ? verdict : last_error;
	}
	follow->last_error = last_error;
}

static clock_ntp_time stamp_of(struct msghdr *message)
{
	struct timespec stamp;

	return stamp_find(message, &stamp) ? clock_to_ntp(&stamp) : clock_read_ntp();
}

/* Errors reported by the network are ignored: a forger can cause them. */
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

		if (size < 0)
			return;
		match_reply(follow, bytes, (size_t)size, stamp_of(&message), now);
	}
}

void follow_forget(struct follow *follow, int64_t now)
{
	memset(follow->requests, 0, sizeof(follow->requests));
	follow->last_reply = later(follow->last_reply, now);
	set_unsynchronised(follow, CLOCK_REFERENCE_STEP, "has not replied since the clock was set");
}

const char *follow_state(const struct follow *follow, struct clock_state *state)
{
	*state = follow->state;
	return follow->reason;
}
