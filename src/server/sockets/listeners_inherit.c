/* Sockets passed by the service manager: see sd_listen_fds(3). */
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/sockets/listeners.h"
#include "server/sockets/socket.h"

static int get_option(int fd, int level, int option)
{
	int value = 0;
	socklen_t size = sizeof(value);

	return getsockopt(fd, level, option, &value, &size) == 0 ? value : -1;
}

/* A TCP socket with a port does not listen if it refuses connections (see listeners_refuse), or if
 * a web process under an attacker's control has shut it down or made a connection of it. */
static void restore_tcp(int fd, const struct address *address)
{
	if (address_port(address) != 0 && get_option(fd, SOL_SOCKET, SO_ACCEPTCONN) == 0)
		socket_listen(fd);
}

/* A UDP socket is connected if a daemon under an attacker's control has done that: it gets the
 * datagrams of one peer only. To disconnect it ends its binding to an interface, too. */
static bool restore_udp(int fd)
{
	const struct sockaddr none = { .sa_family = AF_UNSPEC };
	struct address peer;
	char device[IF_NAMESIZE] = "";
	socklen_t size = sizeof(peer), length = sizeof(device);

	if (getpeername(fd, &peer.any, &size) < 0)
		return true;
	return getsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, device, &length) == 0 &&
	       connect(fd, &none, sizeof(none)) == 0 &&
	       (length == 0 || setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, device, length) == 0);
}

/* No call ends the shutdown of a UDP socket: it would be readable for ever, without a datagram. */
static bool is_shut_down(int fd)
{
	struct pollfd state = { .fd = fd, .events = POLLRDHUP };

	return poll(&state, 1, 0) == 1 && (state.revents & POLLRDHUP) != 0;
}

static bool restore(int fd, const struct address *address)
{
	bool internet = address->any.sa_family == AF_INET || address->any.sa_family == AF_INET6;

	if (internet && get_option(fd, SOL_SOCKET, SO_TYPE) == SOCK_DGRAM)
		return restore_udp(fd);
	if (internet && get_option(fd, SOL_SOCKET, SO_TYPE) == SOCK_STREAM)
		restore_tcp(fd, address);
	return true;
}

/* A connection has the address of one interface, also if its socket was bound to all. */
static bool get_address(int fd, struct address *address)
{
	socklen_t size = sizeof(*address), restored_size = sizeof(*address);

	return getsockname(fd, &address->any, &size) == 0 && restore(fd, address) &&
	       getsockname(fd, &address->any, &restored_size) == 0;
}

/* The protocol for a socket of this type; NULL: none can be served on it. */
static const char *default_protocol(int fd)
{
	int domain = get_option(fd, SOL_SOCKET, SO_DOMAIN);

	if (domain != AF_INET && domain != AF_INET6)
		return NULL;
	if (get_option(fd, SOL_SOCKET, SO_TYPE) == SOCK_DGRAM)
		return "ntp";
	if (get_option(fd, SOL_SOCKET, SO_TYPE) == SOCK_STREAM &&
	    get_option(fd, SOL_SOCKET, SO_ACCEPTCONN) == 1)
		return "daytime/tcp";
	return NULL;
}

/* The protocol of that name, if it has the right transport, else the default. */
static const struct protocol *choose_protocol(const char *name, const char *otherwise)
{
	const struct protocol *named = protocol_find(name), *usual = protocol_find(otherwise);

	return named && named->transport == usual->transport ? named : usual;
}

struct listener *listeners_adopt(struct listeners *listeners, int fd, const char *name,
				 struct failure *failure)
{
	struct listener listener = { .fd = fd, .inherited = true };
	struct address *address = &listener.address;
	const char *otherwise = get_address(fd, address) ? default_protocol(fd) : NULL;

	if (!otherwise) {
		failure_set(failure, EXIT_NOT_STARTED,
			    "inherited descriptor %d: is neither a listening TCP socket nor"
			    " a UDP socket",
			    fd);
		goto failed;
	}
	listener.protocol = choose_protocol(name, otherwise);
	listener.dual_stack = address->any.sa_family == AF_INET6 && address_is_any(address) &&
			      get_option(fd, IPPROTO_IPV6, IPV6_V6ONLY) == 0;
	if (is_shut_down(fd)) {
		failure_set(failure, EXIT_NOT_STARTED,
			    "inherited descriptor %d: was shut down: restart its socket unit", fd);
		goto failed;
	}
	if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 || fcntl(fd, F_SETFL, O_NONBLOCK) < 0 ||
	    !socket_prepare(fd, listener.protocol, address)) {
		failure_set_errno(failure, "inherited descriptor %d", fd);
		goto failed;
	}
	if (listeners_append(listeners, &listener, failure))
		return &listeners->items[listeners->count - 1];
failed:
	close(fd);
	return NULL;
}

bool listeners_inherit(struct listeners *listeners, const struct notify *notify,
		       struct failure *failure)
{
	char name[PROTOCOL_WORD_SIZE];

	*listeners = (struct listeners){ 0 };
	for (int i = 0; i < notify->inherited; i++) {
		notify_socket_name(notify, i, name, sizeof(name));
		if (!listeners_adopt(listeners, NOTIFY_FIRST_SOCKET + i, name, failure)) {
			listeners_close_unless(listeners, NULL);
			return false;
		}
	}
	return true;
}
