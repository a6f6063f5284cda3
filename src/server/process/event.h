/* The 64 bits that epoll keeps with a descriptor, a kind and an index; and the eventfd(2) that
 * wakes a thread. */
#ifndef SERVER_EVENT_H
#define SERVER_EVENT_H

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <unistd.h>

enum event_kind {
	EVENT_SIGNAL,	/* main thread: signalfd(2) */
	EVENT_CONTROL,	/* main thread: the control socket */
	EVENT_WAKE,	/* worker: its eventfd */
	EVENT_LISTENER, /* worker: index of the listener */
	EVENT_STREAM,	/* worker: index of the stream */
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

/* Adds fd to epoll, for EPOLLIN. Returns false with errno. */
static inline bool event_add_fd(int epoll, int fd, uint64_t tag)
{
	struct epoll_event event = { .events = EPOLLIN, .data.u64 = tag };

	return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0;
}

/* Makes an eventfd, which does not block, readable. Returns false with errno. */
static inline bool event_raise(int fd)
{
	const uint64_t one = 1;

	return write(fd, &one, sizeof(one)) == sizeof(one);
}

static inline void event_clear(int fd)
{
	uint64_t count;

	(void)!read(fd, &count, sizeof(count));
}

/* Whether all that was raised has been cleared. */
static inline bool event_is_clear(int fd)
{
	struct pollfd state = { .fd = fd, .events = POLLIN };

	return poll(&state, 1, 0) == 0;
}

#endif
