/* The listening sockets: opened, inherited, and exchanged for others without a gap. */
#ifndef SERVER_LISTENERS_H
#define SERVER_LISTENERS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/address.h"
#include "base/failure.h"
#include "protocol/protocol.h"
#include "server/config/config.h"
#include "server/process/notify.h"

struct listener {
	int fd;
	const struct protocol *protocol;
	struct address address;
	unsigned shard;	 /* of the sockets that share an address, each worker serves its own */
	bool dual_stack; /* an inherited IPv6 socket that takes IPv4 as well */
	bool inherited;	 /* given by the service manager: stays as long as we do */
};

struct listeners {
	struct listener *items;
	size_t count;
};

/* Collects the sockets that the service manager opened. One that is no listening TCP socket is a
 * failure. Its name says the protocol ("daytime/tcp"); under any other name it is Daytime's. */
bool listeners_inherit(struct listeners *listeners, const struct notify *notify,
		       struct failure *failure);

/* Adds one socket that was opened elsewhere, as above. Returns it, until the next one is added; or
 * NULL, after closing fd. */
struct listener *listeners_adopt(struct listeners *listeners, int fd, const char *name,
				 struct failure *failure);

bool listeners_append(struct listeners *listeners, const struct listener *listener,
		      struct failure *failure);

/* Opens what config asks for into listeners, in shards shards. A socket that present has is taken over
 * and not opened again; inherited ones always are. Afterwards present and listeners may share
 * descriptors: close the one or the other with listeners_close_unless. On failure nothing new stays
 * open.
 *
 * Where a port is one of present's, in another guise, both are open for a moment: on the way from
 * "*:13" to "127.0.0.1:13". Once sockets share an address they do so to the end, also if fewer shards
 * are wanted: to close one would lose what waits in it. Inherited sockets are of shard 0. */
bool listeners_open(struct listeners *listeners, const struct config *config, unsigned shards,
		    const struct listeners *present, struct failure *failure);

/* Adds those of others that share an address with one of listeners; not all, if memory is short. */
void listeners_keep_group(struct listeners *listeners, const struct listeners *others);

/* Closes those of listeners that are not also in kept (NULL: all), and forgets them. */
void listeners_close_unless(struct listeners *listeners, const struct listeners *kept);

/* Makes the sockets belong to a user, who may later open others beside them. */
void listeners_chown(const struct listeners *listeners, uid_t uid, gid_t gid);

/* Whether listeners has this descriptor. */
bool listeners_have(const struct listeners *listeners, int fd);

/* Writes "daytime on tcp 5050, daytime on tcp 127.0.0.1:13" into text and returns it. */
const char *listeners_describe(const struct listeners *listeners, char *text, size_t size);

#endif
