#include "server/sockets/interfaces.h"

#include <linux/fib_rules.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* The kernel fills at most this much of a larger buffer with small messages. */
#define BUFFER_SIZE 8192

/* Finds an attribute of a type, with at least size bytes, in the length bytes at first; or NULL. */
static const struct rtattr *find(const struct rtattr *first, size_t length, unsigned short type,
				 size_t size)
{
	unsigned left = (unsigned)length;

	for (const struct rtattr *item = first; RTA_OK(item, left); item = RTA_NEXT(item, left)) {
		if ((item->rta_type & NLA_TYPE_MASK) == type && RTA_PAYLOAD(item) >= size)
			return item;
	}
	return NULL;
}

/* Finds an attribute of a message, after a header of that size. */
static const struct rtattr *find_in(const struct nlmsghdr *message, size_t header,
				    unsigned short type, size_t size)
{
	size_t skipped = NLMSG_SPACE(header);

	if (message->nlmsg_len < skipped)
		return NULL;
	return find((const void *)((const char *)message + skipped), message->nlmsg_len - skipped,
		    type, size);
}

static void add_routed(struct interfaces *interfaces, uint32_t index, uint32_t out, uint32_t family)
{
	uint64_t count = interfaces->routed_count;

	if (index == 0 || count == INTERFACES_ROUTED_MAX)
		return;
	interfaces->routed[count].index = index;
	interfaces->routed[count].out = out;
	interfaces->routed[count].family = family;
	interfaces->routed_count++;
}

/* The network of an address of an interface; of a point-to-point link, the address of its peer. */
static void add_address(struct interfaces *interfaces, const struct nlmsghdr *message)
{
	const struct ifaddrmsg *header = NLMSG_DATA(message);
	size_t size = header->ifa_family == AF_INET ? 4 : 16;
	const struct rtattr *address = find_in(message, sizeof(*header), IFA_ADDRESS, size);

	if (address)
		networks_add(&interfaces->networks, header->ifa_family, RTA_DATA(address),
			     header->ifa_prefixlen);
}

/* An interface in a VRF. */
static void add_link(struct interfaces *interfaces, const struct nlmsghdr *message)
{
	const struct ifinfomsg *header = NLMSG_DATA(message);
	const struct rtattr *master = find_in(message, sizeof(*header), IFLA_MASTER, 4);
	const struct rtattr *info = find_in(message, sizeof(*header), IFLA_LINKINFO, 0), *kind;
	uint32_t index;

	if (!master || !info)
		return;
	kind = find(RTA_DATA(info), RTA_PAYLOAD(info), IFLA_INFO_SLAVE_KIND, 3);
	if (!kind || memcmp(RTA_DATA(kind), "vrf", 3) != 0)
		return;
	memcpy(&index, RTA_DATA(master), sizeof(index));
	add_routed(interfaces, (uint32_t)header->ifi_index, index, AF_UNSPEC);
}

/* A routing rule for an outgoing interface. */
static void add_rule(struct interfaces *interfaces, const struct nlmsghdr *message)
{
	const struct fib_rule_hdr *header = NLMSG_DATA(message);
	const struct rtattr *out = find_in(message, sizeof(*header), FRA_OIFNAME, 1);
	char name[IF_NAMESIZE] = "";
	uint32_t index;

	if (!out || header->action != FR_ACT_TO_TBL || RTA_PAYLOAD(out) > sizeof(name))
		return;
	memcpy(name, RTA_DATA(out), RTA_PAYLOAD(out));
	name[sizeof(name) - 1] = '\0';
	index = if_nametoindex(name);
	add_routed(interfaces, index, index, header->family);
}

void interfaces_add(struct interfaces *interfaces, const struct nlmsghdr *message)
{
	switch (message->nlmsg_type) {
	case RTM_NEWADDR:
		if (message->nlmsg_len >= NLMSG_LENGTH(sizeof(struct ifaddrmsg)))
			add_address(interfaces, message);
		break;
	case RTM_NEWLINK:
		if (message->nlmsg_len >= NLMSG_LENGTH(sizeof(struct ifinfomsg)))
			add_link(interfaces, message);
		break;
	case RTM_NEWRULE:
		if (message->nlmsg_len >= NLMSG_LENGTH(sizeof(struct fib_rule_hdr)))
			add_rule(interfaces, message);
		break;
	default:
		break;
	}
}

static bool request(int fd, uint16_t type)
{
	struct {
		struct nlmsghdr header;
		struct rtgenmsg family;
	} message = {
		.header = { .nlmsg_len = NLMSG_LENGTH(sizeof(struct rtgenmsg)),
			    .nlmsg_type = type,
			    .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP },
		.family = { .rtgen_family = AF_UNSPEC },
	};

	return send(fd, &message, message.header.nlmsg_len, 0) >= 0;
}

/* Adds all that the kernel has of a type. Its reply is there when the request has been sent. */
static bool dump(int fd, uint16_t type, struct interfaces *interfaces)
{
	_Alignas(struct nlmsghdr) char buffer[BUFFER_SIZE];
	const struct nlmsghdr *message;
	ssize_t size;
	unsigned left;

	if (!request(fd, type))
		return false;
	while ((size = recv(fd, buffer, sizeof(buffer), MSG_TRUNC)) > 0) {
		if (size > (ssize_t)sizeof(buffer))
			return false;
		left = (unsigned)size;
		for (message = (const void *)buffer; NLMSG_OK(message, left);
		     message = NLMSG_NEXT(message, left)) {
			if (message->nlmsg_type == NLMSG_DONE)
				return true;
			if (message->nlmsg_type == NLMSG_ERROR)
				return false;
			interfaces_add(interfaces, message);
		}
	}
	return false;
}

void interfaces_update(struct interfaces_snapshot *snapshot)
{
	struct interfaces known, found = { 0 };
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
	bool done;

	if (fd < 0)
		return;
	done = dump(fd, RTM_GETADDR, &found) && dump(fd, RTM_GETLINK, &found);
	/* A kernel without policy routing has no rules. */
	dump(fd, RTM_GETRULE, &found);
	close(fd);
	snapshot_read(&snapshot->sequence, snapshot->slots, &known, sizeof(known));
	if (done && memcmp(&known, &found, sizeof(found)) != 0)
		snapshot_publish(&snapshot->sequence, snapshot->slots, &found, sizeof(found));
}
