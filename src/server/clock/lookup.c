#include "server/clock/lookup.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The thread or the caller, whichever ends last, frees it. */
enum progress {
	RUNNING,
	DONE,	   /* the thread has ended */
	ABANDONED, /* the caller has released it */
};

struct lookup {
	atomic_int progress;
	char host[256];
	struct addrinfo *found;
};

static void release(struct lookup *lookup)
{
	if (lookup->found)
		freeaddrinfo(lookup->found);
	free(lookup);
}

static void *look_up(void *argument)
{
	static const struct addrinfo hints = { .ai_socktype = SOCK_DGRAM };
	struct lookup *lookup = argument;

	if (getaddrinfo(lookup->host, NULL, &hints, &lookup->found) != 0)
		lookup->found = NULL;
	if (atomic_exchange(&lookup->progress, DONE) == ABANDONED)
		release(lookup);
	return NULL;
}

struct lookup *lookup_start(const char *host)
{
	struct lookup *lookup = calloc(1, sizeof(*lookup));
	pthread_t thread;

	if (!lookup)
		return NULL;
	snprintf(lookup->host, sizeof(lookup->host), "%s", host);
	if (pthread_create(&thread, NULL, look_up, lookup) != 0) {
		free(lookup);
		return NULL;
	}
	pthread_detach(thread);
	return lookup;
}

enum lookup_result lookup_poll(struct lookup *lookup, unsigned which, uint16_t port,
			       struct address *address)
{
	const struct addrinfo *found;
	unsigned count = 0;

	if (atomic_load(&lookup->progress) != DONE)
		return LOOKUP_PENDING;
	for (found = lookup->found; found; found = found->ai_next)
		count++;
	if (count == 0)
		return LOOKUP_FAILED;
	found = lookup->found;
	for (which %= count; which > 0; which--)
		found = found->ai_next;
	*address = (struct address){ 0 };
	memcpy(address, found->ai_addr, found->ai_addrlen);
	if (found->ai_family == AF_INET6)
		address->ip6.sin6_port = htons(port);
	else
		address->ip4.sin_port = htons(port);
	return LOOKUP_FOUND;
}

void lookup_release(struct lookup *lookup)
{
	if (lookup && atomic_exchange(&lookup->progress, ABANDONED) == DONE)
		release(lookup);
}
