/* Opening one socket to serve on. */
#ifndef SERVER_SOCKET_H
#define SERVER_SOCKET_H

#include <stdbool.h>

#include "base/address.h"
#include "protocol/protocol.h"

/* Bursts wait in the kernel; it cuts this down to net.core.somaxconn where that is less. */
#define SOCKET_BACKLOG 4096

/* Opens a socket, non-blocking, bound to address, ready for its protocol's requests. With shared,
 * the port may be one that sockets of ours have already: see socket_enable_reuseport. Returns the descriptor,
 * or -1 with errno. */
int socket_open(const struct protocol *protocol, const struct address *address, bool shared);

/* Sets what the requests of a protocol need on a socket that was opened by someone else. Returns
 * false, with errno, if the kernel refuses. */
bool socket_prepare(int fd, const struct protocol *protocol, const struct address *address);

/* Lets others of the same user be bound to where this one is, in turn or all at once, if they ask
 * for it. The first socket at an address is bound without: so a port that another process serves is
 * refused, whatever that process permits. */
bool socket_enable_reuseport(int fd);

/* Hands an incoming datagram to one of the sockets that share a port by the network it comes from
 * (IPv4 /24, IPv6 /48), out of count, so that all requests of a network meet the same limits. */
bool socket_attach_source_hash(int fd, const struct address *address, unsigned count);

/* Leaves that choice to the kernel again. */
void socket_detach_source_hash(int fd);

#endif
