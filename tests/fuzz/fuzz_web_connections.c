/* HTTP connections to the web process's code, through libevent and the loopback interface.
 *
 * A byte of the input below 0xe0 is sent as it is, so a recorded request is an input. Others:
 *
 *	0xe0 to 0xe5	the bytes that follow go to this connection, which is opened if it is not
 *	0xe6 to 0xe8	the next connection comes from another network; 0xe8 is denied
 *	0xe9		what was collected is sent, in a segment of its own
 *	0xea, 0xeb, 0xec	the connection is closed for writing, closed, reset
 *	0xed, 0xee	the client stops reading, reads again
 *	0xef		the server sees that its connections are too old
 *	0xf0 to 0xff	is sent
 *
 * Whole replies are well-formed and have our headers; a connection that has ended leaves nothing
 * behind. */
#include <arpa/inet.h>
#include <event2/event.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "web/http.h"

#define CONNECTIONS 6	   /* of the clients */
#define CAPACITY    4	   /* of the server: more connections evict others */
#define CHUNK_MAX   8192   /* sent at once */
#define REPLIES_MAX 524288 /* bytes that are kept of one connection */
#define TURNS_MAX   2000   /* of the event loop, until nothing is left to do */
#define OPENED_MAX  32	   /* connections of an input */
#define WAIT_MAX    5000   /* milliseconds, until the kernel has delivered something */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Of the sanitizers; without them nothing counts allocations.
 * NOLINTNEXTLINE(bugprone-reserved-identifier): its name */
size_t __sanitizer_get_current_allocated_bytes(void) __attribute__((weak));

struct client {
	size_t chunk_size, replies_size;
	int fd; /* -1: not open */
	bool reads;
	bool whole; /* neither side has cut the connection off: its replies have to be whole */
	uint8_t chunk[CHUNK_MAX];
	char replies[REPLIES_MAX + 1]; /* and a zero */
};

static struct client clients[CONNECTIONS];
static struct http_server server;
static struct sockaddr_in place;
static unsigned network, opened;

static void check(bool holds)
{
	if (!holds)
		abort();
}

static struct access deny(const char *text)
{
	struct access access = { 0 };
	struct access_prefix prefix;

	check(access_prefix_parse(&prefix, text) && access_add(&access, &prefix, false) &&
	      access_build(&access));
	return access;
}

/* A low limit of descriptors gives the server a low limit of connections. */
static void open_server(struct event_base *base)
{
	struct connections *connections = &server.connections;
	struct rlimit limit = { 0 }, low;

	check(http_open(&server, base) && getrlimit(RLIMIT_NOFILE, &limit) == 0);
	low = limit;
	low.rlim_cur = 16;
	do {
		check(setrlimit(RLIMIT_NOFILE, &low) == 0);
		connections_open(connections, &server.access, &server.counters->connections);
		check(setrlimit(RLIMIT_NOFILE, &limit) == 0);
		low.rlim_cur++;
	} while (connections->capacity < CAPACITY);
	check(connections->capacity == CAPACITY);
}

static void ignore_log(int severity, const char *message)
{
	(void)severity;
	(void)message;
}

static void start_once(void)
{
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	socklen_t size = sizeof(place);

	place = (struct sockaddr_in){ .sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	check(bind(listener, (struct sockaddr *)&place, sizeof(place)) == 0 &&
	      listen(listener, 64) == 0 &&
	      getsockname(listener, (struct sockaddr *)&place, &size) == 0);
	server.stats = calloc(1, sizeof(struct stats));
	server.counters = calloc(1, sizeof(struct web_counters));
	check(server.stats && server.counters);
	server.access = deny("127.3.0.0/16");
	event_set_log_callback(ignore_log);
	open_server(event_base_new());
	check(http_listen(&server, listener));
	for (size_t i = 0; i < CONNECTIONS; i++)
		clients[i].fd = -1;
}

/* Reads what has come. Returns whether anything has. */
static bool read_replies(struct client *client)
{
	char *end = client->replies + client->replies_size;
	size_t room = REPLIES_MAX - client->replies_size;
	ssize_t size = room > 0 ? recv(client->fd, end, room, MSG_DONTWAIT) : 0;

	if (room == 0)
		client->whole = false;
	if (size > 0)
		client->replies_size += (size_t)size;
	return size > 0;
}

/* Lets the server and the clients go on until nothing happens any more. */
static void run(void)
{
	int quiet = 0;

	for (int turn = 0; turn < TURNS_MAX && quiet < 3; turn++) {
		quiet++;
		event_base_loop(server.base, EVLOOP_NONBLOCK);
		check(connections_count(&server.connections) <= server.connections.capacity);
		for (size_t i = 0; i < CONNECTIONS; i++) {
			if (clients[i].fd >= 0 && clients[i].reads && read_replies(&clients[i]))
				quiet = 0;
		}
	}
}

static void open_client(struct client *client)
{
	struct sockaddr_in own = { .sin_family = AF_INET,
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK + (network << 16)) };

	client->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	client->reads = client->whole = true;
	client->replies_size = client->chunk_size = 0;
	check(bind(client->fd, (struct sockaddr *)&own, sizeof(own)) == 0);
	check(connect(client->fd, (struct sockaddr *)&place, sizeof(place)) == 0);
	opened++;
	run();
}

static void send_chunk(struct client *client)
{
	if (client->fd < 0 || client->chunk_size == 0)
		return;
	if (send(client->fd, client->chunk, client->chunk_size, MSG_DONTWAIT | MSG_NOSIGNAL) !=
	    (ssize_t)client->chunk_size)
		client->whole = false;
	client->chunk_size = 0;
	run();
}

static bool starts_with(const char *text, const char *prefix)
{
	return strncasecmp(text, prefix, strlen(prefix)) == 0;
}

/* What of a reply's headers counts. */
struct reply {
	int code;
	long length; /* -1: not given */
	bool nosniff, policy, referrer, html, closes;
};

/* Reads the headers up to the empty line. Returns what follows it; NULL if they are not whole. */
static const char *read_headers(const char *text, const char *end, struct reply *reply)
{
	for (;;) {
		const char *line = text, *stop = memmem(text, (size_t)(end - text), "\r\n", 2);

		if (!stop)
			return NULL;
		text = stop + 2;
		if (stop == line)
			return text;
		for (const char *at = line; at < stop; at++)
			check((unsigned char)*at >= 0x20 && (unsigned char)*at < 0x7f);
		check(memchr(line, ':', (size_t)(stop - line)));
		if (starts_with(line, "Content-Length: "))
			reply->length = strtol(line + 16, NULL, 10);
		reply->nosniff |= starts_with(line, "X-Content-Type-Options: nosniff\r\n");
		reply->referrer |= starts_with(line, "Referrer-Policy: no-referrer\r\n");
		reply->policy |= starts_with(line, "Content-Security-Policy: default-src 'none'");
		reply->closes |= starts_with(line, "Connection: close\r\n");
		reply->html |= starts_with(line, "Content-Type: text/html");
	}
}

/* libevent replies itself to what it cannot parse, with the version of the request. */
static bool is_of_libevent(const struct reply *reply)
{
	return reply->code >= 400 && reply->html;
}

/* Reads a reply; "HTTP/1.1 200 OK" first. Returns what follows it; NULL if it is not whole. */
static const char *read_reply(const char *text, const char *end)
{
	struct reply reply = { .length = -1 };
	const char *line = memmem(text, (size_t)(end - text), "\r\n", 2), *status;
	bool ours = starts_with(text, "HTTP/1.0 ") || starts_with(text, "HTTP/1.1 ");

	if (!line)
		return NULL;
	status = memchr(text, ' ', (size_t)(line - text));
	check(starts_with(text, "HTTP/") && status && line - status > 4 && status[4] == ' ');
	reply.code = (int)strtol(status + 1, NULL, 10);
	check(reply.code >= 100 && reply.code <= 599);
	text = read_headers(line + 2, end, &reply);
	if (!text || reply.code == 100)
		return text;
	check(reply.nosniff && reply.policy && reply.referrer);
	check(ours || is_of_libevent(&reply));
	if (text == end || starts_with(text, "HTTP/"))
		return text;	/* to HEAD, perhaps: no page starts so */
	if (reply.length < 0) { /* up to the end of the connection */
		check(is_of_libevent(&reply) && reply.closes);
		return end;
	}
	return end - text >= reply.length ? text + reply.length : NULL;
}

/* Checks the replies, and returns whether the last one is whole. */
static bool check_replies(struct client *client)
{
	const char *text = client->replies, *end = text + client->replies_size;

	client->replies[client->replies_size] = '\0';
	while (text && text < end)
		text = read_reply(text, end);
	return text;
}

static bool server_has_closed(void)
{
	unsigned open = 0;

	for (size_t i = 0; i < CONNECTIONS; i++)
		open += clients[i].fd >= 0;
	connections_expire(&server.connections, clock_monotonic());
	return connections_count(&server.connections) <= open;
}

static void close_client(struct client *client, bool reset)
{
	const struct linger linger = { .l_onoff = reset };

	if (client->fd < 0)
		return;
	client->reads = true;
	for (int i = 0; i < WAIT_MAX && !check_replies(client) && client->whole; i++) {
		poll(NULL, 0, 1);
		run();
	}
	check(check_replies(client) || !client->whole);
	setsockopt(client->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	close(client->fd);
	client->fd = -1;
	run();
	for (int i = 0; i < WAIT_MAX && !server_has_closed(); i++) {
		poll(NULL, 0, 1);
		run();
	}
	check(server_has_closed());
}

/* Cuts off what the server has; then no reply has to be whole any more. */
static void age(int64_t span)
{
	for (size_t i = 0; i < CONNECTIONS; i++)
		clients[i].whole = false;
	connections_expire(&server.connections, clock_monotonic() + span);
	run();
}

static void act(struct client *client, uint8_t action)
{
	switch (action) {
	case 0xe9:
		send_chunk(client);
		break;
	case 0xea: /* evhttp closes the connection at once, also amid a reply */
		client->whole = false;
		shutdown(client->fd, SHUT_WR);
		run();
		break;
	case 0xeb:
	case 0xec:
		close_client(client, action == 0xec);
		break;
	case 0xed:
	case 0xee:
		client->reads = action == 0xee;
		run();
		break;
	default:
		age(2 * CONNECTIONS_TIMEOUT);
		break;
	}
}

/* A connection beyond the limit evicts another, perhaps amid a reply. */
static void note_evictions(void)
{
	unsigned open = 0;

	for (size_t i = 0; i < CONNECTIONS; i++)
		open += clients[i].fd >= 0;
	for (size_t i = 0; i < CONNECTIONS && open > CAPACITY; i++)
		clients[i].whole = false;
}

static void play(const uint8_t *data, size_t size)
{
	struct client *client = clients;

	network = opened = 0;
	for (size_t i = 0; i < size; i++) {
		if (data[i] >= 0xe6 && data[i] <= 0xe8) {
			network = data[i] - 0xe5U;
			continue;
		}
		if (data[i] >= 0xe0 && data[i] <= 0xe5)
			client = &clients[data[i] - 0xe0];
		if (client->fd < 0 && opened == OPENED_MAX)
			continue;
		if (client->fd < 0) {
			open_client(client);
			note_evictions();
		}
		if (data[i] >= 0xe9 && data[i] <= 0xef)
			act(client, data[i]);
		else if ((data[i] < 0xe0 || data[i] > 0xef) && client->chunk_size < CHUNK_MAX)
			client->chunk[client->chunk_size++] = data[i];
	}
}

/* Plays an input, and returns how much memory it has left behind. */
static size_t try_input(const uint8_t *data, size_t size)
{
	size_t before = 0, after = 0;

	if (__sanitizer_get_current_allocated_bytes)
		before = __sanitizer_get_current_allocated_bytes();
	play(data, size);
	for (size_t i = 0; i < CONNECTIONS; i++) {
		send_chunk(&clients[i]);
		clients[i].reads = true;
	}
	run();
	for (size_t i = 0; i < CONNECTIONS; i++)
		close_client(&clients[i], true);
	check(connections_count(&server.connections) == 0);
	if (__sanitizer_get_current_allocated_bytes)
		after = __sanitizer_get_current_allocated_bytes();
	return after > before ? after - before : 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!server.base)
		start_once();
	/* What libevent keeps for the next connections it does not keep each time. */
	for (int i = 0; try_input(data, size) > 0; i++)
		check(i < 20);
	return 0;
}
