#include "base/address.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <limits.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

/* The index of the interface of this name or number; 0 if there is none. For "eth0:1", the kernel
 * would give that of eth0. */
static uint32_t parse_zone(const char *zone)
{
	char name[IF_NAMESIZE];
	unsigned index = strchr(zone, ':') ? 0 : if_nametoindex(zone);

	if (index == 0 && text_to_number(zone, 1, INT_MAX, &index) && !if_indextoname(index, name))
		return 0;
	return index;
}

static bool parse_ip6(struct sockaddr_in6 *ip6, const char *host)
{
	char literal[INET6_ADDRSTRLEN];
	const char *zone = strchr(host, '%');
	size_t length = zone ? (size_t)(zone - host) : strlen(host);

	if (length >= sizeof(literal))
		return false;
	memcpy(literal, host, length);
	literal[length] = '\0';
	if (inet_pton(AF_INET6, literal, &ip6->sin6_addr) != 1)
		return false;
	if (!zone)
		return true;
	ip6->sin6_scope_id = parse_zone(zone + 1);
	return ip6->sin6_scope_id != 0;
}

bool address_parse(struct address *address, const char *host, uint16_t port)
{
	memset(address, 0, sizeof(*address));
	if (inet_pton(AF_INET, host, &address->ip4.sin_addr) == 1) {
		address->ip4.sin_family = AF_INET;
		address->ip4.sin_port = htons(port);
		return true;
	}
	address->ip6.sin6_family = AF_INET6;
	address->ip6.sin6_port = htons(port);
	return parse_ip6(&address->ip6, host);
}

struct address address_any(sa_family_t family, uint16_t port)
{
	struct address address;

	memset(&address, 0, sizeof(address));
	address.any.sa_family = family;
	if (family == AF_INET6)
		address.ip6.sin6_port = htons(port);
	else
		address.ip4.sin_port = htons(port);
	return address;
}

socklen_t address_length(const struct address *address)
{
	return address->any.sa_family == AF_INET6 ? sizeof(address->ip6) : sizeof(address->ip4);
}

uint16_t address_port(const struct address *address)
{
	return ntohs(address->any.sa_family == AF_INET6 ? address->ip6.sin6_port :
							  address->ip4.sin_port);
}

bool address_is_any(const struct address *address)
{
	if (address->any.sa_family == AF_INET6)
		return IN6_IS_ADDR_UNSPECIFIED(&address->ip6.sin6_addr);
	return address->ip4.sin_addr.s_addr == htonl(INADDR_ANY);
}

bool address_lacks_zone(const struct address *address)
{
	return address->any.sa_family == AF_INET6 &&
	       IN6_IS_ADDR_LINKLOCAL(&address->ip6.sin6_addr) && address->ip6.sin6_scope_id == 0;
}

static bool is_loopback(const struct address *address)
{
	uint32_t ip4;

	if (address_ip4(address, &ip4))
		return ip4 >> 24 == 127;
	return IN6_IS_ADDR_LOOPBACK(&address->ip6.sin6_addr);
}

/* Whether interface, which may have no address, has this one. */
static bool has_address(const struct ifaddrs *interface, const struct address *address)
{
	struct address own = { 0 };

	if (!interface->ifa_addr || interface->ifa_addr->sa_family != address->any.sa_family)
		return false;
	memcpy(&own, interface->ifa_addr, address_length(address));
	if (own.any.sa_family == AF_INET)
		own.ip4.sin_port = address->ip4.sin_port;
	else
		own.ip6.sin6_port = address->ip6.sin6_port;
	return address_equal(&own, address);
}

bool address_is_own(const struct address *address)
{
	struct ifaddrs *interfaces = NULL;
	bool found = is_loopback(address) || address_is_any(address);

	if (found || getifaddrs(&interfaces) < 0)
		return found;
	for (const struct ifaddrs *one = interfaces; one && !found; one = one->ifa_next)
		found = has_address(one, address);
	freeifaddrs(interfaces);
	return found;
}

bool address_equal(const struct address *a, const struct address *b)
{
	if (a->any.sa_family != b->any.sa_family || address_port(a) != address_port(b))
		return false;
	if (a->any.sa_family == AF_INET6)
		return IN6_ARE_ADDR_EQUAL(&a->ip6.sin6_addr, &b->ip6.sin6_addr) &&
		       a->ip6.sin6_scope_id == b->ip6.sin6_scope_id;
	return a->ip4.sin_addr.s_addr == b->ip4.sin_addr.s_addr;
}

/* Any other name could break the text that the address stands in: a terminal's, HTML, a file. */
static bool is_plain_zone(const char *name)
{
	return name[strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				 ".-_@+")] == '\0';
}

const char *address_format(const struct address *address, char text[static ADDRESS_TEXT_SIZE])
{
	char literal[INET6_ADDRSTRLEN], zone[IF_NAMESIZE + 1] = "";

	if (address->any.sa_family == AF_INET) {
		inet_ntop(AF_INET, &address->ip4.sin_addr, literal, sizeof(literal));
		snprintf(text, ADDRESS_TEXT_SIZE, "%s:%u", literal, address_port(address));
		return text;
	}
	inet_ntop(AF_INET6, &address->ip6.sin6_addr, literal, sizeof(literal));
	if (address->ip6.sin6_scope_id != 0) {
		zone[0] = '%';
		if (!if_indextoname(address->ip6.sin6_scope_id, zone + 1) ||
		    !is_plain_zone(zone + 1))
			snprintf(zone + 1, sizeof(zone) - 1, "%u", address->ip6.sin6_scope_id);
	}
	snprintf(text, ADDRESS_TEXT_SIZE, "[%s%s]:%u", literal, zone, address_port(address));
	return text;
}

static bool split_bracketed(char *text, char **host, char **port)
{
	char *close = strchr(text, ']');

	if (!close || close == text + 1)
		return false;
	*close = '\0';
	*host = text + 1;
	*port = NULL;
	if (close[1] == '\0')
		return true;
	*port = close + 2;
	return close[1] == ':' && close[2] != '\0';
}

bool address_split(char *text, char **host, char **port)
{
	char *colon = strchr(text, ':');

	if (*text == '[')
		return split_bracketed(text, host, port);
	*host = text;
	*port = NULL;
	if (!colon || strchr(colon + 1, ':'))
		return *text != '\0';
	*colon = '\0';
	*port = colon + 1;
	return *text != '\0' && **port != '\0';
}

const char *address_join(char *text, size_t size, const char *host, uint16_t port)
{
	snprintf(text, size, strchr(host, ':') ? "[%s]:%u" : "%s:%u", host, port);
	return text;
}

bool address_ip4(const struct address *address, uint32_t *ip4)
{
	const struct in6_addr *ip6 = &address->ip6.sin6_addr;

	if (address->any.sa_family == AF_INET)
		*ip4 = ntohl(address->ip4.sin_addr.s_addr);
	else if (IN6_IS_ADDR_V4MAPPED(ip6))
		*ip4 = ntohl(ip6->s6_addr32[3]);
	else
		return false;
	return true;
}

bool address_is_private(const struct address *address)
{
	const struct in6_addr *ip6 = &address->ip6.sin6_addr;
	uint32_t ip4;

	if (address_ip4(address, &ip4))
		return ip4 >> 24 == 10 || ip4 >> 20 == 0xac1 || ip4 >> 16 == 0xc0a8 ||
		       ip4 >> 24 == 127 || ip4 >> 16 == 0xa9fe;
	return (ip6->s6_addr[0] & 0xfe) == 0xfc || IN6_IS_ADDR_LINKLOCAL(ip6) ||
	       IN6_IS_ADDR_LOOPBACK(ip6);
}

bool address_is_group(const struct address *address)
{
	uint32_t ip4;

	if (address_ip4(address, &ip4))
		return IN_MULTICAST(ip4) || ip4 == INADDR_BROADCAST;
	return IN6_IS_ADDR_MULTICAST(&address->ip6.sin6_addr);
}

/* The highest byte of a network's number. */
#define FAMILY_IP4 (UINT64_C(4) << 56)
#define FAMILY_IP6 (UINT64_C(6) << 56)

uint64_t address_network(const struct address *peer)
{
	uint64_t network = 0;
	uint32_t ip4;

	if (address_ip4(peer, &ip4))
		return FAMILY_IP4 | ip4 >> 8;
	for (int i = 0; i < 6; i++)
		network = network << 8 | peer->ip6.sin6_addr.s6_addr[i];
	return FAMILY_IP6 | network;
}
