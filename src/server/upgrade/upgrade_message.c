#include "server/upgrade/upgrade_message.h"

#include <errno.h>
#include <jansson.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/fd.h"
#include "server/control/control_message.h"
#include "stats/stats.h"

#define SEND_MILLISECONDS 1000

/* Room for one descriptor, aligned for the kernel. */
union attachment {
	struct cmsghdr header;
	char bytes[CMSG_SPACE(sizeof(int))];
};

static const char *const items[] = {
	[UPGRADE_PIDFILE] = "pidfile",	 [UPGRADE_CONTROL] = "control", [UPGRADE_NOTIFY] = "notify",
	[UPGRADE_LISTENER] = "listener", [UPGRADE_END] = "end",
};

#define ITEM_COUNT (sizeof(items) / sizeof(items[0]))

/* Writes a refusal, with the form of a reply of control_message.h. */
static bool format_refusal(const char *reason, char line[static UPGRADE_MESSAGE_SIZE])
{
	char *reply = control_message_reply(EXIT_NOT_STARTED, reason);
	bool fits =
		reply && snprintf(line, UPGRADE_MESSAGE_SIZE, "%s", reply) < UPGRADE_MESSAGE_SIZE;

	free(reply);
	return fits;
}

/* Writes the text of a message. Returns false if memory is short. json_dumpb, since json_dumps may
 * leave parts out then. */
static bool format(const struct upgrade_message *message, char line[static UPGRADE_MESSAGE_SIZE])
{
	const struct listener *listener = &message->listener;
	json_t *object;
	size_t size;

	if (message->item == UPGRADE_REFUSED)
		return format_refusal(message->text, line);
	switch (message->item) {
	case UPGRADE_LISTENER:
		object = json_pack("{s:s, s:s, s:i, s:b}", "item", items[message->item], "protocol",
				   listener->protocol->word, "shard", (int)listener->shard,
				   "inherited", listener->inherited);
		break;
	case UPGRADE_END:
		object = json_pack("{s:s, s:I}", "item", items[message->item], "watchdog",
				   (json_int_t)(message->watchdog / 1000));
		break;
	default:
		object = json_pack("{s:s}", "item", items[message->item]);
		break;
	}
	size = object ? json_dumpb(object, line, UPGRADE_MESSAGE_SIZE - 1, JSON_COMPACT) : 0;
	json_decref(object);
	line[size < UPGRADE_MESSAGE_SIZE ? size : 0] = '\0';
	return line[0] != '\0';
}

static bool send_line(int peer, const char *line, int fd)
{
	union attachment attachment = { 0 };
	struct iovec bytes = { .iov_base = (char *)line, .iov_len = strlen(line) };
	struct msghdr message = { .msg_iov = &bytes, .msg_iovlen = 1 };
	struct pollfd room = { .fd = peer, .events = POLLOUT };

	if (fd >= 0) {
		message.msg_control = attachment.bytes;
		message.msg_controllen = sizeof(attachment.bytes);
		attachment.header = (struct cmsghdr){
			.cmsg_len = CMSG_LEN(sizeof(int)),
			.cmsg_level = SOL_SOCKET,
			.cmsg_type = SCM_RIGHTS,
		};
		memcpy(CMSG_DATA(&attachment.header), &fd, sizeof(fd));
	}
	while (sendmsg(peer, &message, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
		if (errno != EAGAIN || poll(&room, 1, SEND_MILLISECONDS) != 1)
			return false;
	}
	return true;
}

bool upgrade_message_send(int peer, const struct upgrade_message *message)
{
	char line[UPGRADE_MESSAGE_SIZE];

	if (format(message, line))
		return send_line(peer, line, message->fd);
	send_line(peer, CONTROL_MESSAGE_FAILED, -1);
	errno = ENOMEM;
	return false;
}

static bool read_listener(json_t *object, struct listener *listener)
{
	const char *protocol;
	int shard, inherited;

	if (json_unpack(object, "{s:s, s:i, s:b}", "protocol", &protocol, "shard", &shard,
			"inherited", &inherited) < 0 ||
	    shard < 0 || shard >= STATS_WORKERS)
		return false;
	*listener = (struct listener){
		.protocol = protocol_find(protocol),
		.shard = (unsigned)shard,
		.inherited = inherited,
	};
	return listener->protocol;
}

static enum upgrade_item find_item(const char *name)
{
	for (size_t i = 0; i < ITEM_COUNT; i++) {
		if (strcmp(name, items[i]) == 0)
			return (enum upgrade_item)i;
	}
	return UPGRADE_UNKNOWN;
}

static bool read_watchdog(json_t *object, int64_t *watchdog)
{
	json_int_t microseconds;

	if (json_unpack(object, "{s:I}", "watchdog", &microseconds) < 0 || microseconds < 0 ||
	    microseconds > UINT_MAX)
		return false;
	*watchdog = microseconds * 1000;
	return true;
}

void upgrade_message_read(const char *line, struct upgrade_message *message)
{
	json_t *object = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
	const char *item = json_string_value(json_object_get(object, "item"));

	message->item = item ? find_item(item) : UPGRADE_UNKNOWN;
	if (json_object_get(object, "status")) {
		message->item = UPGRADE_REFUSED;
		control_message_read_reply(line, message->text, sizeof(message->text));
	} else if ((message->item == UPGRADE_LISTENER &&
		    !read_listener(object, &message->listener)) ||
		   (message->item == UPGRADE_END && !read_watchdog(object, &message->watchdog))) {
		message->item = UPGRADE_UNKNOWN;
	}
	json_decref(object);
}

/* The descriptor that came with a message; -1: none. */
static int attached_fd(struct msghdr *header)
{
	const struct cmsghdr *attached = CMSG_FIRSTHDR(header);
	int fd = -1;

	if (attached && attached->cmsg_level == SOL_SOCKET && attached->cmsg_type == SCM_RIGHTS &&
	    attached->cmsg_len == CMSG_LEN(sizeof(fd)))
		memcpy(&fd, CMSG_DATA(attached), sizeof(fd));
	return fd;
}

bool upgrade_message_receive(int peer, struct upgrade_message *message)
{
	char line[UPGRADE_MESSAGE_SIZE];
	union attachment attachment;
	struct iovec bytes = { .iov_base = line, .iov_len = sizeof(line) - 1 };
	struct msghdr header = {
		.msg_iov = &bytes,
		.msg_iovlen = 1,
		.msg_control = attachment.bytes,
		/* Not CMSG_SPACE, which is room for two: the kernel closes what has no room. */
		.msg_controllen = CMSG_LEN(sizeof(int)),
	};
	ssize_t length;

	*message = (struct upgrade_message){ .item = UPGRADE_UNKNOWN, .fd = -1 };
	errno = 0;
	length = recvmsg(peer, &header, MSG_CMSG_CLOEXEC);
	if (length < 0)
		return false;
	message->fd = attached_fd(&header);
	if (length == 0) {
		fd_close(&message->fd); /* an empty message can have one, too */
		return false;
	}
	line[length] = '\0';
	upgrade_message_read(line, message);
	return true;
}
