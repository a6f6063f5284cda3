#include "server/sockets/listeners.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "server/sockets/socket.h"

/* "tcp 5050" or "tcp 127.0.0.1:13". */
static const char *format_endpoint(enum transport transport, const struct address *address,
				   char *text, size_t size)
{
	char endpoint[ADDRESS_TEXT_SIZE];

	if (address_is_any(address))
		snprintf(text, size, "%s %u", protocol_transport_name(transport),
			 address_port(address));
	else
		snprintf(text, size, "%s %s", protocol_transport_name(transport),
			 address_format(address, endpoint));
	return text;
}

const char *listeners_describe(const struct listeners *listeners, char *text, size_t size)
{
	char endpoint[ADDRESS_TEXT_SIZE + 8], previous[sizeof(endpoint)] = "";
	size_t used = 0;

	text[0] = '\0';
	for (size_t i = 0; i < listeners->count && used < size; i++) {
		const struct listener *item = &listeners->items[i];

		if (item->shard > 0)
			continue;
		format_endpoint(item->protocol->transport, &item->address, endpoint,
				sizeof(endpoint));
		if (strcmp(endpoint, previous) == 0)
			continue; /* the other family of "*" */
		strcpy(previous, endpoint);
		used += (size_t)snprintf(text + used, size - used, "%s%s on %s",
					 used > 0 ? ", " : "", item->protocol->name, endpoint);
	}
	return text;
}

bool listeners_describe_lack(const struct protocol *protocol, const struct address *address,
			     char *text, size_t size)
{
	char endpoint[ADDRESS_TEXT_SIZE];

	if (!socket_lacks_address(address))
		return false;
	snprintf(text, size, "listen %s %s: this machine does not have the address (yet)",
		 protocol->word, address_format(address, endpoint));
	return true;
}

void listeners_warn(const struct listeners *listeners,
		    void (*warn)(void *context, const char *text), void *context)
{
	char text[LISTENERS_WARNING_SIZE];

	for (size_t i = 0; i < listeners->count; i++) {
		const struct listener *item = &listeners->items[i];

		if (item->shard == 0 && !item->inherited &&
		    listeners_describe_lack(item->protocol, &item->address, text, sizeof(text)))
			warn(context, text);
	}
}

bool listeners_append(struct listeners *listeners, const struct listener *listener,
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

static bool has_address(const struct listeners *listeners, const struct listener *wanted)
{
	for (size_t i = 0; i < listeners->count; i++) {
		if (listeners->items[i].protocol == wanted->protocol &&
		    address_equal(&listeners->items[i].address, &wanted->address))
			return true;
	}
	return false;
}

void listeners_keep_group(struct listeners *listeners, const struct listeners *others)
{
	struct failure ignored;

	for (size_t i = 0; i < others->count; i++) {
		const struct listener *other = &others->items[i];

		if (!listeners_have(listeners, other->fd) && has_address(listeners, other))
			listeners_append(listeners, other, &ignored);
	}
}

static bool is_tcp_of(const struct listener *item, bool web)
{
	return item->protocol->transport == TRANSPORT_TCP && !item->inherited &&
	       !item->protocol->reply == web;
}

void listeners_refuse(const struct listeners *listeners, bool web)
{
	for (size_t i = 0; i < listeners->count; i++) {
		if (is_tcp_of(&listeners->items[i], web))
			socket_refuse(listeners->items[i].fd);
	}
}

void listeners_resume(const struct listeners *listeners)
{
	for (size_t i = 0; i < listeners->count; i++) {
		if (is_tcp_of(&listeners->items[i], false) &&
		    !socket_listen(listeners->items[i].fd))
			log_write(LOG_ERR, "cannot listen again: %m");
	}
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

/* The arguments of listeners_open. */
struct opening {
	struct listeners *listeners;
	const struct listeners *present;
	const struct config *config;
	unsigned shards;
	uid_t owner; /* of new sockets */
	struct failure *failure;
};

static const struct listener *find_present(const struct listeners *present,
					   const struct protocol *protocol,
					   const struct address *address, unsigned shard)
{
	for (size_t i = 0; i < present->count; i++) {
		const struct listener *item = &present->items[i];

		if ((item->protocol != protocol && !item->inherited) || item->shard != shard ||
		    item->protocol->transport != protocol->transport)
			continue;
		if (address_equal(&item->address, address) ||
		    (item->dual_stack && address_is_any(address) &&
		     address_port(&item->address) == address_port(address)))
			return item;
	}
	return NULL;
}

/* Whether a datagram could be delivered to either. */
static bool overlap(const struct address *a, const struct address *b)
{
	return a->any.sa_family == b->any.sa_family && address_port(a) == address_port(b) &&
	       (address_is_any(a) || address_is_any(b) || address_equal(a, b));
}

/* Sets SO_REUSEPORT on our own sockets that overlap with address, and finds their owner. Returns
 * whether there are any. */
static bool share_port(const struct listeners *listeners, const struct protocol *protocol,
		       const struct address *address, uid_t *owner)
{
	struct stat status;
	bool found = false;

	for (size_t i = 0; i < listeners->count; i++) {
		const struct listener *item = &listeners->items[i];

		if (item->protocol->transport == protocol->transport &&
		    overlap(&item->address, address) && socket_enable_reuseport(item->fd) &&
		    fstat(item->fd, &status) == 0) {
			*owner = status.st_uid;
			found = true;
		}
	}
	return found;
}

/* Opens a socket beside our own ones that overlap with address; EADDRINUSE if there are none. The
 * kernel lets sockets of one owner share a port. After an upgrade it may be another user: root can
 * open more, we cannot. */
static int open_beside(const struct listeners *own, const struct protocol *protocol,
		       const struct address *address)
{
	uid_t owner = geteuid();
	int fd = -1;

	errno = EADDRINUSE;
	if (share_port(own, protocol, address, &owner))
		fd = socket_open(protocol, address, true, owner);
	if (fd < 0 && errno == EADDRINUSE && geteuid() != 0 && owner != geteuid())
		errno = EACCES;
	return fd;
}

/* Binds without SO_REUSEPORT first, so that a port in use by others fails; with it only beside our
 * own sockets. */
static int bind_exclusive(const struct opening *opening, const struct protocol *protocol,
			  const struct address *address)
{
	int fd = socket_open(protocol, address, false, opening->owner);

	if (fd < 0 && errno == EADDRINUSE)
		fd = open_beside(opening->present, protocol, address);
	return fd;
}

static bool reuse_listener(const struct opening *opening, const struct listener *found,
			   const struct protocol *protocol)
{
	struct listener listener = *found;

	listener.protocol = protocol;
	return listeners_have(opening->listeners, found->fd) ||
	       listeners_append(opening->listeners, &listener, opening->failure);
}

/* Opens a further shard of an address. */
static bool open_shard(const struct opening *opening, const struct protocol *protocol,
		       const struct address *address, unsigned shard)
{
	const struct listener *found = find_present(opening->present, protocol, address, shard);
	struct listener opened = { .protocol = protocol, .address = *address, .shard = shard };
	char endpoint[ADDRESS_TEXT_SIZE + 8];

	if (found)
		return reuse_listener(opening, found, protocol);
	if (shard >= opening->shards)
		return true;
	opened.fd = open_beside(opening->listeners, protocol, address);
	if (opened.fd < 0)
		return failure_set_errno(opening->failure, "cannot open a further socket on %s",
					 format_endpoint(protocol->transport, address, endpoint,
							 sizeof(endpoint)));
	if (listeners_append(opening->listeners, &opened, opening->failure))
		return true;
	close(opened.fd);
	return false;
}

/* With a rate limit, all requests of a network go to one shard, so that they meet one limiter; else
 * the kernel distributes them. If it cannot attach the filter, each worker limits on its own. */
static void distribute(const struct opening *opening, const struct protocol *protocol,
		       const struct address *address, int first, unsigned shards)
{
	if (protocol->transport != TRANSPORT_UDP)
		return;
	if (config_limits(opening->config, protocol))
		socket_attach_source_hash(first, address, shards);
	else
		socket_detach_source_hash(first);
}

/* Opens the further shards: those wanted, and those of present, where requests may wait. A protocol
 * with a process of its own has one socket. */
static bool open_shards(const struct opening *opening, const struct protocol *protocol,
			const struct address *address, int first)
{
	unsigned shards = opening->shards;

	if (!protocol->reply)
		return true;
	for (size_t i = 0; i < opening->present->count; i++) {
		if (opening->present->items[i].shard >= shards)
			shards = opening->present->items[i].shard + 1;
	}
	for (unsigned shard = 1; shard < shards; shard++) {
		if (!open_shard(opening, protocol, address, shard))
			return false;
	}
	if (shards > 1)
		distribute(opening, protocol, address, first, shards);
	return true;
}

/* Reuses or opens the sockets of one address. */
static bool open_address(const struct opening *opening, const struct config_listen *listen,
			 const struct address *address)
{
	const struct protocol *protocol = listen->protocol;
	const struct listener *found = find_present(opening->present, protocol, address, 0);
	struct listener opened = { .protocol = protocol, .address = *address };
	char endpoint[ADDRESS_TEXT_SIZE + 8];

	if (found && found->inherited)
		return reuse_listener(opening, found, protocol);
	if (found)
		return reuse_listener(opening, found, protocol) &&
		       open_shards(opening, protocol, address, found->fd);
	opened.fd = bind_exclusive(opening, protocol, address);
	/* "*" on a host without IPv6. */
	if (opened.fd < 0 && listen->any_family && address->any.sa_family == AF_INET6 &&
	    (errno == EAFNOSUPPORT || errno == EADDRNOTAVAIL))
		return true;
	if (opened.fd < 0)
		return failure_set_errno(opening->failure, "cannot listen on %s",
					 format_endpoint(protocol->transport, address, endpoint,
							 sizeof(endpoint)));
	log_write(LOG_DEBUG, "opened %s %s", protocol_transport_name(protocol->transport),
		  address_format(address, endpoint));
	if (listeners_append(opening->listeners, &opened, opening->failure))
		return open_shards(opening, protocol, address, opened.fd);
	close(opened.fd);
	return false;
}

static bool open_listen(const struct opening *opening, const struct config_listen *listen)
{
	uint16_t port = address_port(&listen->address);
	struct address any4 = address_any(AF_INET, port), any6 = address_any(AF_INET6, port);

	if (!listen->any_family)
		return open_address(opening, listen, &listen->address);
	return open_address(opening, listen, &any4) && open_address(opening, listen, &any6);
}

/* Adds inherited sockets that no listen line names. */
static bool keep_inherited(struct listeners *listeners, const struct listeners *present,
			   struct failure *failure)
{
	for (size_t i = 0; i < present->count; i++) {
		const struct listener *item = &present->items[i];

		if (item->inherited && !listeners_have(listeners, item->fd) &&
		    !listeners_append(listeners, item, failure))
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

bool listeners_open(struct listeners *listeners, const struct config *config, unsigned shards,
		    const struct listeners *present, struct failure *failure)
{
	const struct user *user = &config->user;
	const struct opening opening = {
		.listeners = listeners,
		.present = present,
		.config = config,
		.shards = shards,
		.owner = geteuid() == 0 && user->name[0] != '\0' ? user->uid : geteuid(),
		.failure = failure,
	};
	bool wanted = !config->default_listen || !has_inherited(present);
	bool opened = true;

	*listeners = (struct listeners){ 0 };
	for (size_t i = 0; wanted && opened && i < config->listen_count; i++)
		opened = open_listen(&opening, &config->listens[i]);
	opened = opened && keep_inherited(listeners, present, failure);
	if (!opened)
		listeners_close_unless(listeners, present);
	return opened;
}
