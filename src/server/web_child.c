#include "server/web_child.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "base/fd.h"
#include "base/shm.h"
#include "server/sockets/socket.h"
#include "stats/web_role.h"

/* How long connections may wait for the next process. */
#define WAIT_MAX (2 * CLOCK_SECOND)

/* Copies the access list into memory that the process can read. Returns its descriptor; -1, with
 * errno. */
static int share_access(const struct access *access)
{
	size_t size = (access->range_count + 1) * sizeof(*access->ranges);
	int fd;
	void *memory = shm_create(size, SHM_READ, &fd);

	if (!memory)
		return -1;
	if (access->range_count > 0)
		memcpy(memory, access->ranges, access->range_count * sizeof(*access->ranges));
	munmap(memory, size);
	return fd;
}

static size_t count_listeners(const struct listeners *listeners)
{
	size_t count = 0;

	for (size_t i = 0; i < listeners->count; i++)
		count += !listeners->items[i].protocol->reply;
	return count;
}

/* A compromised web process can shut down a listener that is shared, or make it blocking. */
static bool restore_listener(int fd)
{
	return socket_listen(fd) && fcntl(fd, F_SETFL, O_NONBLOCK) == 0;
}

/* In the order of stats/web_role.h. */
static int pass(void *context, struct child_args *args)
{
	struct web_child *web = context;
	const struct access *access = &web->service->config.access;
	const struct listeners *listeners = &web->service->listeners;

	fd_close(&web->access_fd);
	web->access_fd = share_access(access);
	if (web->access_fd < 0)
		return errno;
	child_args_add_fd(args, web->stats_fd);
	child_args_add_fd(args, web->counters_fd);
	child_args_add_fd(args, web->access_fd);
	child_args_add_number(args, (unsigned)access->range_count);
	child_args_add_number(args, web->privileges->paths);
	child_args_add_number(args, web->privileges->calls);
	if (count_listeners(listeners) > WEB_ROLE_LISTENERS_MAX)
		return E2BIG;
	for (size_t i = 0; i < listeners->count; i++) {
		if (listeners->items[i].protocol->reply)
			continue;
		if (!restore_listener(listeners->items[i].fd))
			return errno;
		child_args_add_fd(args, listeners->items[i].fd);
	}
	return 0;
}

static const struct child_role web_role = {
	.name = WEB_ROLE_NAME,
	.title = "web process",
	.pass = pass,
};

bool web_child_open(struct web_child *web, const struct service *service,
		    const struct privileges *privileges, struct failure *failure)
{
	*web = (struct web_child){
		.service = service,
		.privileges = privileges,
		.stats_fd = -1,
		.counters_fd = -1,
		.access_fd = -1,
	};
	web->stats = shm_create(sizeof(*web->stats), SHM_READ, &web->stats_fd);
	if (web->stats)
		web->counters = shm_create(sizeof(*web->counters), SHM_WRITE, &web->counters_fd);
	child_open(&web->child, &web_role, web, web->stats ? &web->stats->web_starts : NULL,
		   web->stats ? &web->stats->web_crashes : NULL);
	return web->counters || failure_set_errno(failure, "cannot make memory to share");
}

bool web_child_is_configured(const struct listeners *listeners)
{
	return count_listeners(listeners) > 0;
}

bool web_child_replace(struct web_child *web, struct failure *failure)
{
	if (web_child_is_configured(&web->service->listeners))
		return child_replace(&web->child, failure);
	child_stop(&web->child);
	return true;
}

static bool has_same(const struct listeners *listeners, const struct listener *wanted)
{
	for (size_t i = 0; i < listeners->count; i++) {
		if (listeners->items[i].fd == wanted->fd &&
		    listeners->items[i].protocol == wanted->protocol)
			return true;
	}
	return false;
}

bool web_child_has_new(const struct listeners *now, const struct listeners *before)
{
	for (size_t i = 0; i < now->count; i++) {
		if (!now->items[i].protocol->reply && !has_same(before, &now->items[i]))
			return true;
	}
	return false;
}

int64_t web_child_tick(struct web_child *web, int64_t now)
{
	int64_t due = child_tick(&web->child, now);

	/* Before a start pass() makes them listen again. */
	if (web->child.process == 0 && web->child.restart_at - now > WAIT_MAX)
		listeners_refuse(&web->service->listeners, true);
	return due;
}

void web_child_close(struct web_child *web)
{
	child_release(&web->child);
	child_wait_exit(&web->child);
	if (web->stats)
		munmap(web->stats, sizeof(*web->stats));
	if (web->counters)
		munmap(web->counters, sizeof(*web->counters));
	fd_close(&web->stats_fd);
	fd_close(&web->counters_fd);
	fd_close(&web->access_fd);
}
