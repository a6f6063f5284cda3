/* Opens one socket for requests. */
#ifndef SERVER_SOCKET_H
#define SERVER_SOCKET_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/address.h"
#include "protocol/protocol.h"

/* The kernel limits it to net.core.somaxconn. */
#define SOCKET_BACKLOG 4096

/* Opens a non-blocking socket bound to address, prepared for requests of protocol; shared: with
 * SO_REUSEPORT, which counts for sockets of the same owner. Only root can open one for another
 * owner. This machine may get the address later. Returns the descriptor, or -1 with errno. */
int socket_open(const struct protocol *protocol, const struct address *address, bool shared,
		uid_t owner);

/* Whether this machine lacks address now, so that no request can come to it. By bind(2), since a
 * local route can give it addresses that no interface has; where the kernel binds any address
 * (ip_nonlocal_bind), it lacks none. */
bool socket_lacks_address(const struct address *address);

/* Has a TCP listener refuse connections until socket_listen. */
void socket_refuse(int fd);

/* Has a TCP socket listen, also after socket_refuse, or if another process has shut it down.
 * Returns false with errno. */
bool socket_listen(int fd);

/* Prepares an inherited socket for requests of protocol. Returns false with errno. */
bool socket_prepare(int fd, const struct protocol *protocol, const struct address *address);

/* Sets SO_REUSEPORT. Not set before the first socket of an address is bound, so that a port in use
 * fails with EADDRINUSE. */
bool socket_enable_reuseport(int fd);

/* Has the kernel choose among the count sockets of a port by the source network of a datagram (IPv4
 * /24, IPv6 /48), with a secret key, which stays as long as the process. Returns false with
 * errno. */
bool socket_attach_source_hash(int fd, const struct address *address, unsigned count);

/* Has the kernel choose by its own hash again. */
void socket_detach_source_hash(int fd);

#endif
