#include "server/clock/follow.h"

#include <string.h>
#include <sys/random.h>
#include <unistd.h>

/* A socket is given up after so many requests, and its port with it: a port that changes is one
 * more thing that whoever forges answers has to guess (RFC 9109). The kernel draws it at random. */
#define SOCKET_REQUESTS 64

/* A server that was silent for so long is asked once a second, no more. */
#define SILENCE (8 * CLOCK_SECOND)

/* How often to see whether a name was looked up. */
#define LOOKUP_INTERVAL (20 * CLOCK_MILLISECOND)

/* What is taken in one go: the monitor has other things to watch as well. */
#define RECEIVE_MAX 16

static int64_t earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static int64_t later(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

static void doubt_clock(struct follow *follow, uint32_t reference, const char *reason)
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
		.patience = FOLLOW_PATIENCE,
		.next = now,
		.heard = now,
	};
	doubt_clock(follow, CLOCK_REFERENCE_INIT, "has not answered yet");
}

static void close_socket(struct follow *follow)
{
	if (follow->socket >= 0)
		close(follow->socket);
	follow->socket = -1;
	follow->asked = 0;
	memset(follow->requests, 0, sizeof(follow->requests));
}

void follow_close(struct follow *follow)
{
	close_socket(follow);
	lookup_end(follow->lookup);
	follow->lookup = NULL;
}

static bool open_socket(struct follow *follow)
{
	const struct address *server = &follow->server;
	int wanted = 1;

	close_socket(follow);
	follow->socket =
		socket(server->any.sa_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (follow->socket < 0)
		return false;
	/* Without the kernel's stamps an answer seems to come a little later than it did. */
	setsockopt(follow->socket, SOL_SOCKET, SO_TIMESTAMPNS, &wanted, sizeof(wanted));
	if (connect(follow->socket, &server->any, address_length(server)) == 0)
		return true;
	close_socket(follow);
	return false;
}

/* An address is at hand at once; a name is looked up again every time: it may have moved. */
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
		lookup_end(follow->lookup);
		follow->lookup = NULL;
	}
	return result;
}

/* Sets when to go on: at once, if there is now somebody to ask. */
static void look_for_server(struct follow *follow, int64_t now)
{
	enum lookup_result result = find_server(follow);

	if (result == LOOKUP_PENDING) {
		follow->next = now + LOOKUP_INTERVAL;
		return;
	}
	follow->attempt++;
	if (result == LOOKUP_FOUND && open_socket(follow)) {
		follow->heard = now;
		return;
	}
	doubt_clock(follow, CLOCK_REFERENCE_INIT,
		    result == LOOKUP_FOUND ? "cannot be reached" : "cannot be found");
	follow->next = now + CLOCK_SECOND;
}

/* Nobody but the server, and whoever sees its packets go by, can know the nonce. The request holds
 * nothing else: what it does not say of this clock nobody can use. */
static void ask(struct follow *follow, int64_t now)
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
	/* A request that is not sent is one that is not answered. */
	(void)!send(follow->socket, bytes, bytes_written(&writer), MSG_NOSIGNAL);
}

static int64_t lost_at(const struct follow *follow)
{
	return follow->heard + FOLLOW_LOST * follow->interval;
}

static int64_t interval_of(const struct follow *follow)
{
	return follow->patience > SILENCE ? later(follow->interval, CLOCK_SECOND) :
					    follow->interval;
}

/* The next request, or the next step on the way to somebody who would answer it. */
static void go_on(struct follow *follow, int64_t now)
{
	if (follow->socket >= 0 &&
	    now >= later(lost_at(follow), follow->heard + follow->patience)) {
		follow->patience = earlier(2 * follow->patience, FOLLOW_PATIENCE_MAX);
		close_socket(follow);
	} else if (follow->asked >= SOCKET_REQUESTS && !open_socket(follow)) {
		follow->next = now + CLOCK_SECOND;
		return;
	}
	if (follow->socket < 0)
		look_for_server(follow, now);
	if (follow->socket < 0)
		return;
	ask(follow, now);
	follow->next = now + interval_of(follow);
}

int64_t follow_tick(struct follow *follow, int64_t now)
{
	if (follow->socket >= 0 && now >= lost_at(follow))
		doubt_clock(follow, CLOCK_REFERENCE_INIT,
			    follow->doubt == NTP_CLIENT_OK ? "does not answer" :
							     ntp_client_describe(follow->doubt));
	if (now >= follow->next)
		go_on(follow, now);
	return now < lost_at(follow) ? earlier(follow->next, lost_at(follow)) : follow->next;
}

/* RFC 5905 section 7.4. Only the server itself can send one: it has to know the nonce. */
static void heed_kiss(struct follow *follow, uint32_t kiss, int64_t now)
{
	switch (kiss) {
	case CLOCK_REFERENCE('R', 'A', 'T', 'E'):
		follow->interval = earlier(2 * follow->interval, FOLLOW_INTERVAL_MAX);
		follow->next = now + follow->interval;
		follow->reason = "wants to be asked less often";
		break;
	case CLOCK_REFERENCE('D', 'E', 'N', 'Y'):
	case CLOCK_REFERENCE('R', 'S', 'T', 'R'):
		follow->next = now + FOLLOW_BANISHED;
		follow->heard = follow->next; /* until then it does not lack an answer */
		follow->reason = "does not want to be asked";
		break;
	default:
		break;
	}
}

static void heed(struct follow *follow, enum ntp_client_verdict verdict,
		 const struct clock_state *state, uint32_t kiss, int64_t now)
{
	follow->heard = now;
	follow->patience = FOLLOW_PATIENCE;
	follow->doubt = NTP_CLIENT_OK;
	follow->state = *state;
	follow->reason = verdict == NTP_CLIENT_OK ? NULL : ntp_client_describe(verdict);
	if (verdict == NTP_CLIENT_KISS)
		heed_kiss(follow, kiss, now);
}

static bool is_loopback(const struct address *address)
{
	const struct in6_addr *ip6 = &address->ip6.sin6_addr;

	if (address->any.sa_family == AF_INET)
		return ntohl(address->ip4.sin_addr.s_addr) >> 24 == 127;
	return IN6_IS_ADDR_LOOPBACK(ip6) || (IN6_IS_ADDR_V4MAPPED(ip6) && ip6->s6_addr[12] == 127);
}

/* Finds the request that the bytes answer; each is answered once. What answers none is only
 * remembered, for the log. */
static void take(struct follow *follow, const void *bytes, size_t size, clock_ntp_time received,
		 int64_t now)
{
	struct ntp_reference_context context = {
		.exchange.received = received,
		.monotonic = now,
		.same_host = is_loopback(&follow->server),
		.reference_id = ntp_reference_id(&follow->server),
	};
	enum ntp_client_verdict verdict, doubt = NTP_CLIENT_SHORT;
	struct clock_state state;
	uint32_t kiss = 0;

	for (int i = 0; i < FOLLOW_REQUESTS; i++) {
		struct follow_request *request = &follow->requests[i];

		context.exchange.nonce = now - request->asked <= FOLLOW_LATE ? request->nonce : 0;
		context.exchange.sent = request->sent;
		verdict = ntp_reference_from_reply(&context, bytes, size, &state, &kiss);
		if (ntp_client_is_reply(verdict)) {
			request->nonce = 0;
			heed(follow, verdict, &state, kiss, now);
			return;
		}
		doubt = verdict > doubt ? verdict : doubt;
	}
	follow->doubt = doubt;
}

static clock_ntp_time stamp_of(struct msghdr *message)
{
	struct cmsghdr *item;
	struct timespec stamp;

	for (item = CMSG_FIRSTHDR(message); item; item = CMSG_NXTHDR(message, item)) {
		if (item->cmsg_level != SOL_SOCKET || item->cmsg_type != SCM_TIMESTAMPNS)
			continue;
		memcpy(&stamp, CMSG_DATA(item), sizeof(stamp));
		return clock_to_ntp(&stamp);
	}
	return clock_read_ntp();
}

/* Errors that the network reports are not believed: they only make the silence that follows. */
void follow_receive(struct follow *follow, int64_t now)
{
	uint8_t bytes[NTP_PACKET_SIZE];

	for (int i = 0; i < RECEIVE_MAX && follow->socket >= 0; i++) {
		_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(struct timespec)) * 2];
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
		take(follow, bytes, (size_t)size, stamp_of(&message), now);
	}
}

void follow_forget(struct follow *follow, int64_t now)
{
	memset(follow->requests, 0, sizeof(follow->requests));
	follow->heard = later(follow->heard, now);
	doubt_clock(follow, CLOCK_REFERENCE_STEP, "has not answered since");
}

const char *follow_state(const struct follow *follow, struct clock_state *state)
{
	*state = follow->state;
	return follow->reason;
}
