/* The sockets that requests come to: opened, inherited, and replaced without a gap. */
#ifndef SERVER_LISTENERS_H
#define SERVER_LISTENERS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/address.h"
#include "base/failure.h"
#include "protocol/protocol.h"
#include "server/config/config.h"
#include "server/process/notify.h"

/* The size of a warning, at most. */
#define LISTENERS_WARNING_SIZE 160

struct listener {
	int fd;
	const struct protocol *protocol;
	struct address address;
	unsigned shard;	 /* which of the sockets that share its address; worker i serves shard i */
	bool dual_stack; /* an inherited IPv6 socket that takes IPv4 too */
	bool inherited;	 /* from the service manager: never closed before the end */
};

struct listeners {
	struct listener *items;
	size_t count;
};

/* Collects the sockets that the service manager passed. Any that is neither a listening TCP socket
 * nor a UDP socket is a failure. The protocol is that of the socket's name ("daytime/tcp"), else
 * daytime/tcp or ntp by its type. */
bool listeners_inherit(struct listeners *listeners, const struct notify *notify,
		       struct failure *failure);

/* Adds one such socket. Returns its listener, valid until the next is added; or NULL, after closing
 * fd. */
struct listener *listeners_adopt(struct listeners *listeners, int fd, const char *name,
				 struct failure *failure);

bool listeners_append(struct listeners *listeners, const struct listener *listener,
		      struct failure *failure);

/* Opens the sockets of config into listeners, with this number of shards. Root's belong to the user
 * of config, who may open more at their addresses. Sockets of present are reused, inherited ones in
 * any case. Afterwards present and listeners may share descriptors: close
 * the one or the other with listeners_close_unless. On failure nothing new stays open.
 *
 * Overlapping sockets of present and listeners are both open for a moment, e.g. from "*:13" to
 * "127.0.0.1:13". A shard stays open to the end, also if fewer are wanted later: closing it would
 * lose the requests that wait in it. Inherited sockets are shard 0. */
bool listeners_open(struct listeners *listeners, const struct config *config, unsigned shards,
		    const struct listeners *present, struct failure *failure);

/* Adds the shards that others has of addresses in listeners; not all, if memory is short. */
void listeners_keep_group(struct listeners *listeners, const struct listeners *others);

/* Has the TCP listeners refuse connections while nothing would serve them, which would wait without
 * end: those of the web process, or those of the workers. Not inherited ones, where the service
 * manager decides. socket_listen undoes it: listeners_resume does, for those of the workers. */
void listeners_refuse(const struct listeners *listeners, bool web);
void listeners_resume(const struct listeners *listeners);

/* Closes the sockets that are not also in kept (NULL: all), and empties listeners. */
void listeners_close_unless(struct listeners *listeners, const struct listeners *kept);

/* Whether this descriptor is among listeners. */
bool listeners_have(const struct listeners *listeners, int fd);

/* Writes a warning about a listener's address into text, if this machine lacks it now. Returns
 * whether it does. */
bool listeners_describe_lack(const struct protocol *protocol, const struct address *address,
			     char *text, size_t size);

/* Calls warn with each such warning; not for inherited sockets, whose network may be another. */
void listeners_warn(const struct listeners *listeners,
		    void (*warn)(void *context, const char *text), void *context);

/* Writes "daytime on tcp 5050, daytime on tcp 127.0.0.1:13" into text and returns it. */
const char *listeners_describe(const struct listeners *listeners, char *text, size_t size);

#endif
