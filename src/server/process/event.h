/* The 64 bits that epoll keeps with a descriptor: a kind and an index. */
#ifndef SERVER_EVENT_H
#define SERVER_EVENT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

enum event_kind {
	EVENT_SIGNAL,	/* main thread: signalfd(2) */
	EVENT_CONTROL,	/* main thread: the control socket */
	EVENT_WAKE,	/* worker: the thread is to stop */
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

#endif
