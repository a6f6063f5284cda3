/* What an epoll event belongs to: a kind and an index, packed into the 64 bits that epoll gives
 * back. */
#ifndef SERVER_EVENTS_H
#define SERVER_EVENTS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

enum event_kind {
	EVENT_SIGNAL,
	EVENT_LISTENER, /* index: of the listener */
	EVENT_STREAM,	/* index: of the stream */
	EVENT_CONTROL,
};

static inline uint64_t event_tag(enum event_kind kind, uint32_t index)
{
	return (uint64_t)kind << 32 | index;
}

static inline enum event_kind event_kind(uint64_t tag)
{
	return (enum event_kind)(tag >> 32);
}

static inline uint32_t event_index(uint64_t tag)
{
	return (uint32_t)tag;
}

/* Watches fd for bytes to read; operation is EPOLL_CTL_ADD, or EPOLL_CTL_MOD to change the tag. */
static inline bool event_add_fd(int epoll, int operation, int fd, uint64_t tag)
{
	struct epoll_event event = { .events = EPOLLIN, .data.u64 = tag };

	return epoll_ctl(epoll, operation, fd, &event) == 0;
}

#endif
