/* An IPv4 or IPv6 address with a port: a socket address that knows how to be read, shown,
 * compared. */
#ifndef BASE_ADDRESS_H
#define BASE_ADDRESS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

struct address {
	union {
		struct sockaddr any;
		struct sockaddr_in ip4;
		struct sockaddr_in6 ip6;
	};
};

/* Room for "[IPv6%interface]:port" and its end. */
#define ADDRESS_TEXT_SIZE 80

/* Reads host, a literal IPv4 or IPv6 address (no brackets; IPv6 may name its zone: fe80::1%eth0),
 * and puts it together with port. Returns false if it is not one; names are never looked up. */
bool address_parse(struct address *address, const char *host, uint16_t port);

/* The address that stands for every address of a family (AF_INET or AF_INET6), with port. */
struct address address_any(sa_family_t family, uint16_t port);

/* The length to hand to bind, connect and sendto. */
socklen_t address_length(const struct address *address);

uint16_t address_port(const struct address *address);

/* Whether it stands for every address of its family. */
bool address_is_any(const struct address *address);

/* Same family, address, zone and port. */
bool address_equal(const struct address *a, const struct address *b);

/* Whether it is an IPv4 address, in its own form or mapped into IPv6 (RFC 4291 section 2.5.5.2); sets
 * ip4 to it, in host byte order. */
bool address_ip4(const struct address *address, uint32_t *ip4);

/* The network that an address is in (IPv4 /24, IPv6 /48) as a number, which is never 0: its kind, 4
 * or 6, in the highest byte, its own bytes in the lowest three or six. IPv4 in the form of IPv6 is
 * IPv4. */
uint64_t address_network(const struct address *peer);

/* Writes "192.0.2.1:13" or "[2001:db8::1%zone]:13" into text and returns it. */
const char *address_format(const struct address *address, char text[static ADDRESS_TEXT_SIZE]);

/* Writes "HOST:PORT", or "[HOST]:PORT" for an IPv6 address without brackets, into text of size bytes
 * and returns it: what address_split reads. */
const char *address_join(char *text, size_t size, const char *host, uint16_t port);

/* Splits text, which it changes, of the form HOST, HOST:PORT, [HOST] or [HOST]:PORT. A bare IPv6
 * address (two colons or more, no brackets) is a host without a port. Sets host and port to the
 * parts, port to NULL where there is none. Returns false if text has another form or an empty
 * part. */
bool address_split(char *text, char **host, char **port);

#endif
