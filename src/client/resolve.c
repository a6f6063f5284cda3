#include "client/resolve.h"

#include <errno.h>
#include <netdb.h>
#include <string.h>

void resolve_interleave(struct address *addresses, size_t count)
{
	for (size_t i = 1; i < count; i++) {
		struct address other;
		size_t j = i;

		while (j < count && addresses[j].any.sa_family == addresses[i - 1].any.sa_family)
			j++;
		if (j == count)
			return; /* the rest is of one family */
		other = addresses[j];
		memmove(&addresses[i + 1], &addresses[i], (j - i) * sizeof(*addresses));
		addresses[i] = other;
	}
}

/* getaddrinfo() may return duplicates from a hosts file. */
static bool holds(const struct address *addresses, size_t count, const struct address *address)
{
	for (size_t i = 0; i < count; i++) {
		if (address_equal(&addresses[i], address))
			return true;
	}
	return false;
}

static struct address address_of(const struct addrinfo *found, uint16_t port)
{
	struct address address = { 0 };

	memcpy(&address, found->ai_addr, found->ai_addrlen);
	if (found->ai_family == AF_INET6)
		address.ip6.sin6_port = htons(port);
	else
		address.ip4.sin_port = htons(port);
	return address;
}

const char *resolve_host(struct address addresses[static RESOLVE_MAX], size_t *count,
			 const char *host, uint16_t port, int family)
{
	struct addrinfo hints = { .ai_family = family, .ai_socktype = SOCK_STREAM };
	struct addrinfo *list;
	int error = getaddrinfo(host, NULL, &hints, &list);

	if (error != 0)
		return error == EAI_SYSTEM ? strerror(errno) : gai_strerror(error);
	*count = 0;
	for (struct addrinfo *found = list; found && *count < RESOLVE_MAX; found = found->ai_next) {
		struct address address = address_of(found, port);

		if (!address_lacks_zone(&address) && !holds(addresses, *count, &address))
			addresses[(*count)++] = address;
	}
	freeaddrinfo(list);
	resolve_interleave(addresses, *count);
	return *count > 0 ? NULL : "link-local address without a zone";
}
