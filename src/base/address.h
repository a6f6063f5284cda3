/* An IPv4 or IPv6 address with a port. */
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

/* Sets address from host, an IPv4 or IPv6 literal without brackets, with a zone if need be (the
 * name or number of an interface: fe80::1%eth0), and port. Returns false for anything else; names
 * are not looked up. */
bool address_parse(struct address *address, const char *host, uint16_t port);

/* The wildcard address of a family (AF_INET or AF_INET6), with port. */
struct address address_any(sa_family_t family, uint16_t port);

/* The length for bind(2) and the like. */
socklen_t address_length(const struct address *address);

uint16_t address_port(const struct address *address);

/* Whether it is the wildcard address of its family. */
bool address_is_any(const struct address *address);

/* Whether it is a link-local IPv6 address without a zone, which no packet can be sent to. */
bool address_lacks_zone(const struct address *address);

/* Whether it is an address of this host, whatever its port: of the loopback network, the wildcard,
 * which reaches the loopback interface, or of an interface now. */
bool address_is_own(const struct address *address);

/* Same family, address, zone and port. */
bool address_equal(const struct address *a, const struct address *b);

/* Whether it is an IPv4 address, in its own form or mapped into IPv6 (RFC 4291 section 2.5.5.2);
 * sets ip4 to it, in host byte order. */
bool address_ip4(const struct address *address, uint32_t *ip4);

/* Whether no route of the Internet leads to it: loopback, link-local, the private networks of IPv4
 * (RFC 1918) and the unique local ones of IPv6 (RFC 4193). IPv4-mapped addresses are IPv4. */
bool address_is_private(const struct address *address);

/* Whether it is a multicast address, or the broadcast address 255.255.255.255. IPv4-mapped
 * addresses are IPv4. */
bool address_is_group(const struct address *address);

/* The network of an address (IPv4 /24, IPv6 /48) as a number, never 0: 4 or 6 in the highest byte,
 * the bytes of the prefix in the lowest three or six. IPv4-mapped addresses are IPv4. */
uint64_t address_network(const struct address *peer);

/* Writes "192.0.2.1:13" or "[2001:db8::1%zone]:13" into text and returns it. A zone whose name has
 * other characters than letters, digits and ".-_@+" is a number. */
const char *address_format(const struct address *address, char text[static ADDRESS_TEXT_SIZE]);

/* Writes "HOST:PORT", or "[HOST]:PORT" for an IPv6 address without brackets, into text of size
 * bytes and returns it: what address_split reads. */
const char *address_join(char *text, size_t size, const char *host, uint16_t port);

/* Splits text, in place, of the form HOST, HOST:PORT, [HOST] or [HOST]:PORT. An IPv6 address
 * without brackets (two colons or more) is a host without a port. Sets host, and port, which is
 * NULL if there is none. Returns false for another form or an empty part. */
bool address_split(char *text, char **host, char **port);

#endif
