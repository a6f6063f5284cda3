#include "server/listen.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"

/* Where a socket listens, as a person says it: "tcp 5050" or "tcp 127.0.0.1:13". */
static const char *describe_place(enum transport transport, const struct address *address,
				  char *text, size_t size)
{
	char place[ADDRESS_TEXT_SIZE];

	if (address_is_any(address))
		snprintf(text, size, "%s %u", transport_name(transport), address_port(address));
	else
		snprintf(text, size, "%s %s", transport_name(transport),
			 address_format(address, place));
	return text;
}

const char *listeners_describe(const struct listeners *listeners, char *text, size_t size)
{
	char place[ADDRESS_TEXT_SIZE + 8], previous[sizeof(place)] = "";
	size_t used = 0;

	text[0] = '\0';
	for (size_t i = 0; i < listeners->count && used < size; i++) {
		const struct listener *item = &listeners->items[i];

		describe_place(item->protocol->transport, &item->address, place, sizeof(place));
		if (strcmp(place, previous) == 0)
			continue; /* the other family of "*" */
		strcpy(previous, place);
		used += (size_t)snprintf(text + used, size - used, "%s%s on %s",
					 used > 0 ? ", " : "", item->protocol->name, place);
	}
	return text;
}

static bool append(struct listeners *listeners, const struct listener *listener,
		   struct failure *failure)
{
	struct listener *grown =
		reallocarray(listeners->items, listeners->count + 1, sizeof(*grown));

	if (!grown)
		return failure_set_errno(failure, "cannot listen");
	grown[listeners->count++] = *listener;
	listeners->items = grown;
	return true;
}

bool listeners_have(const struct listeners *listeners, int fd)
{
	for (size_t i = 0; i < listeners->count; i++) {
		if (listeners->items[i].fd == fd)
			return true;
	}
	return false;
}

void listeners_close_unless(struct listeners *listeners, const struct listeners *kept)
{
	for (size_t i = 0; i < listeners->count; i++) {
		if (!kept || !listeners_have(kept, listeners->items[i].fd))
			close(listeners->items[i].fd);
	}
	free(listeners->items);
	*listeners = (struct listeners){ 0 };
}

void listeners_give_to(const struct listeners *listeners, uid_t uid, gid_t gid)
{
	for (size_t i = 0; i < listeners->count; i++) {
		if (fchown(listeners->items[i].fd, uid, gid) < 0)
			return; /* only a reload to a colliding address would miss it, and say so */
	}
}

static bool set_flag(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof(value)) == 0;
}

/* A port that another process serves must be refused, so sockets of ours share one only while they
 * are exchanged. */
static void share_ports(const struct listeners *listeners, bool share)
{
	for (size_t i = 0; i < listeners->count; i++)
		set_flag(listeners->items[i].fd, SOL_SOCKET, SO_REUSEPORT, share);
}

/* An answer is one segment: there is no congestion for a more thoughtful algorithm to control, and
 * the simplest one, which every kernel has, costs the least. Accepted sockets inherit it. */
static void choose_congestion_control(int fd)
{
	setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "reno", strlen("reno"));
}

/* Returns the socket, or -1 with errno. SO_REUSEADDR: connections of the last run that wait out
 * their time must not hold up the next one. */
static int open_socket(const struct address *address, bool share)
{
	int saved_errno, fd;

	fd = socket(address->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	choose_congestion_control(fd);
	if (set_flag(fd, SOL_SOCKET, SO_REUSEADDR, 1) &&
	    (!share || set_flag(fd, SOL_SOCKET, SO_REUSEPORT, 1)) &&
	    (address->any.sa_family != AF_INET6 || set_flag(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1)) &&
	    bind(fd, &address->any, address_length(address)) == 0 &&
	    listen(fd, LISTEN_BACKLOG) == 0)
		return fd;
	saved_errno = errno;
	close(fd);
	errno = saved_errno;
	return -1;
}

static const struct listener *find_present(const struct listeners *present,
					   const struct protocol *protocol,
					   const struct address *address)
{
	for (size_t i = 0; i < present->count; i++) {
		const struct listener *item = &present->items[i];

		if (item->protocol != protocol && !item->inherited)
			continue;
		if (address_equal(&item->address, address) ||
		    (item->both_families && address_is_any(address) &&
		     address_port(&item->address) == address_port(address)))
			return item;
	}
	return NULL;
}

/* One address of a listen line: taken over from present or opened. */
static bool open_one(struct listeners *listeners, const struct config_listen *listen,
		     const struct address *address, const struct listeners *present, bool replacing,
		     struct failure *failure)
{
	const struct listener *found = find_present(present, listen->protocol, address);
	struct listener opened = { .protocol = listen->protocol, .address = *address };
	char place[ADDRESS_TEXT_SIZE + 8];

	if (found) {
		opened = *found;
		opened.protocol = listen->protocol;
		return listeners_have(listeners, found->fd) || append(listeners, &opened, failure);
	}
	opened.fd = open_socket(address, replacing);
	/* "*" means every address that there is: a host may well have no IPv6. */
	if (opened.fd < 0 && listen->every && address->any.sa_family == AF_INET6 &&
	    (errno == EAFNOSUPPORT || errno == EADDRNOTAVAIL))
		return true;
	if (opened.fd < 0)
		return failure_set_errno(failure, "cannot listen on %s",
					 describe_place(listen->protocol->transport, address, place,
							sizeof(place)));
	log_write(LOG_DEBUG, "opened %s %s", transport_name(listen->protocol->transport),
		  address_format(address, place));
	if (append(listeners, &opened, failure))
		return true;
	close(opened.fd);
	return false;
}

static bool open_listen(struct listeners *listeners, const struct config_listen *listen,
			const struct listeners *present, bool replacing, struct failure *failure)
{
	uint16_t port = address_port(&listen->address);
	struct address any4 = address_any(AF_INET, port), any6 = address_any(AF_INET6, port);

	if (!listen->every)
		return open_one(listeners, listen, &listen->address, present, replacing, failure);
	return open_one(listeners, listen, &any4, present, replacing, failure) &&
	       open_one(listeners, listen, &any6, present, replacing, failure);
}

/* Inherited sockets that no listen line took over. */
static bool keep_inherited(struct listeners *listeners, const struct listeners *present,
			   struct failure *failure)
{
	for (size_t i = 0; i < present->count; i++) {
		const struct listener *item = &present->items[i];

		if (item->inherited && !listeners_have(listeners, item->fd) &&
		    !append(listeners, item, failure))
			return false;
	}
	return true;
}

static bool has_inherited(const struct listeners *present)
{
	for (size_t i = 0; i < present->count; i++) {
		if (present->items[i].inherited)
			return true;
	}
	return false;
}

bool listeners_open(struct listeners *listeners, const struct config *config,
		    const struct listeners *present, bool replacing, struct failure *failure)
{
	bool wanted = !config->listens_are_default || !has_inherited(present);
	bool opened = true;

	*listeners = (struct listeners){ 0 };
	if (replacing)
		share_ports(present, true);
	for (size_t i = 0; wanted && opened && i < config->listen_count; i++)
		opened = open_listen(listeners, &config->listens[i], present, replacing, failure);
	opened = opened && keep_inherited(listeners, present, failure);
	if (!opened)
		listeners_close_unless(listeners, present);
	if (replacing) {
		share_ports(present, false);
		share_ports(listeners, false);
	}
	return opened;
}
