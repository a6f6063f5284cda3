#include "server/request/udp_io.h"

#include <errno.h>
#include <linux/net_tstamp.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/log.h"
#include "clock/stamp.h"

/* Goes most of the way of sendmsg(2) and sends nothing. The C library does not define it. */
#define MSG_PROBE 0x10

/* Control messages of a datagram, a reply or an error: a stamp or the request for one, local
 * addresses, and what the kernel adds to errors. */
struct ancillary {
	_Alignas(struct cmsghdr) uint8_t
		bytes[STAMP_CONTROL_SIZE + CMSG_SPACE(sizeof(struct in6_pktinfo)) + CMSG_SPACE(64)];
};

struct udp_io {
	struct mmsghdr requests[DATAGRAM_BATCH], replies[DATAGRAM_BATCH];
	struct iovec request_bytes[DATAGRAM_BATCH], reply_bytes[DATAGRAM_BATCH];
	struct ancillary ancillary[DATAGRAM_BATCH];
	struct cmsghdr *local[DATAGRAM_BATCH]; /* the local address of a request; or NULL */
	const struct interfaces *interfaces;
	struct ancillary sampled_ancillary;
	int sampled;	       /* the reply that asks for a stamp; -1: none */
	struct msghdr unasked; /* that reply without the request for a stamp */
	bool lacks_stamps;     /* the kernel has refused such a reply */
	unsigned used; /* requests below this need their lengths reset before the next call */
	uint8_t bytes[DATAGRAM_BATCH][DATAGRAM_SIZE];
};

struct udp_io *udp_io_open(struct datagram items[static DATAGRAM_BATCH],
			   const struct interfaces *interfaces)
{
	struct udp_io *io = calloc(1, sizeof(*io));

	for (unsigned i = 0; io && i < DATAGRAM_BATCH; i++) {
		struct msghdr *request = &io->requests[i].msg_hdr;

		items[i].bytes = io->bytes[i];
		io->request_bytes[i] = (struct iovec){ io->bytes[i], DATAGRAM_SIZE };
		request->msg_iov = &io->request_bytes[i];
		request->msg_iovlen = 1;
		request->msg_name = &items[i].peer;
		request->msg_control = &io->ancillary[i];
	}
	if (io) {
		io->used = DATAGRAM_BATCH;
		io->interfaces = interfaces;
	}
	return io;
}

void udp_io_close(struct udp_io *io)
{
	free(io);
}

/* Shared by all workers. */
static struct log_limit no_stamps;

static bool is_local_address(const struct cmsghdr *control)
{
	return (control->cmsg_level == IPPROTO_IP && control->cmsg_type == IP_PKTINFO) ||
	       (control->cmsg_level == IPPROTO_IPV6 && control->cmsg_type == IPV6_PKTINFO);
}

/* Sets the arrival of a datagram. Returns the control message with its destination address; NULL if
 * there is none. Of an IPv4 datagram an IPv6 socket gives two: the last one is that of IPv4. */
static struct cmsghdr *read_control(struct msghdr *message, struct datagram *datagram)
{
	struct cmsghdr *control = CMSG_FIRSTHDR(message), *local = NULL;
	struct timespec stamp;

	datagram->arrival = 0;
	for (; control; control = CMSG_NXTHDR(message, control)) {
		if (is_local_address(control))
			local = control;
		else if (stamp_read(control, &stamp))
			datagram->arrival = clock_to_ntp(&stamp);
	}
	datagram->stamped = datagram->arrival != 0;
	return local;
}

/* The kernel names no address to reply from in an IPv4 datagram that waited in an inherited socket.
 * The reply then leaves from the destination address, which the kernel checks. */
static void complete_local_address(struct cmsghdr *control)
{
	struct in_pktinfo *local = (struct in_pktinfo *)CMSG_DATA(control);

	if (control->cmsg_level == IPPROTO_IP && local->ipi_spec_dst.s_addr == htonl(INADDR_ANY))
		local->ipi_spec_dst = local->ipi_addr;
}

/* Whether the destination address is that of a group. The kernel knows the broadcast addresses of
 * IPv4: it names another address, to reply from. */
static bool is_to_group(const struct cmsghdr *control)
{
	const struct in_pktinfo *local = (const struct in_pktinfo *)CMSG_DATA(control);
	const struct in6_pktinfo *local6 = (const struct in6_pktinfo *)CMSG_DATA(control);

	if (control->cmsg_level == IPPROTO_IP)
		return local->ipi_addr.s_addr != local->ipi_spec_dst.s_addr;
	return IN6_IS_ADDR_MULTICAST(&local6->ipi6_addr);
}

/* Makes the local address of a request that of its reply, which leaves from the same address. The
 * routing table chooses the interface; except for a link-local peer, and where the interface of the
 * request has a routing table of its own. */
static void set_local_address(const struct interfaces *interfaces, struct cmsghdr *control,
			      const struct address *peer)
{
	struct in_pktinfo *local = (struct in_pktinfo *)CMSG_DATA(control);
	struct in6_pktinfo *local6 = (struct in6_pktinfo *)CMSG_DATA(control);

	if (control->cmsg_level == IPPROTO_IP)
		local->ipi_ifindex =
			(int)interfaces_out(interfaces, AF_INET, (unsigned)local->ipi_ifindex);
	else if (!IN6_IS_ADDR_LINKLOCAL(&peer->ip6.sin6_addr))
		local6->ipi6_ifindex = interfaces_out(interfaces, AF_INET6, local6->ipi6_ifindex);
}

/* Sets what the kernel says of a request, and keeps its local address for the reply. */
static void read_request(struct udp_io *io, unsigned i, struct datagram *datagram)
{
	struct msghdr *request = &io->requests[i].msg_hdr;
	struct cmsghdr *local = read_control(request, datagram);

	datagram->size = io->requests[i].msg_len;
	datagram->truncated = (request->msg_flags & MSG_TRUNC) != 0;
	datagram->to_group = false;
	io->local[i] = local;
	if (!local)
		return;
	complete_local_address(local);
	datagram->to_group = is_to_group(local);
	set_local_address(io->interfaces, local, &datagram->peer);
}

unsigned udp_io_receive(struct udp_io *io, int fd, struct datagram items[static DATAGRAM_BATCH])
{
	int count;

	for (unsigned i = 0; i < io->used; i++) {
		struct msghdr *request = &io->requests[i].msg_hdr;

		request->msg_namelen = sizeof(items[i].peer);
		request->msg_controllen = sizeof(io->ancillary[i]);
	}
	io->used = 0;
	count = recvmmsg(fd, io->requests, DATAGRAM_BATCH, MSG_DONTWAIT, NULL);
	if (count <= 0)
		return 0;
	io->used = (unsigned)count;
	for (unsigned i = 0; i < io->used; i++)
		read_request(io, i, &items[i]);
	return io->used;
}

/* Makes replies[number] the reply to item i. */
static void set_reply(struct udp_io *io, unsigned number, unsigned i, void *bytes, size_t size)
{
	struct msghdr *request = &io->requests[i].msg_hdr, *reply = &io->replies[number].msg_hdr;

	io->reply_bytes[number] = (struct iovec){ bytes, size };
	reply->msg_name = request->msg_name;
	reply->msg_namelen = request->msg_namelen;
	reply->msg_iov = &io->reply_bytes[number];
	reply->msg_iovlen = 1;
	/* The local address goes back as it came. */
	reply->msg_control = io->local[i];
	reply->msg_controllen = io->local[i] ? CMSG_ALIGN(io->local[i]->cmsg_len) : 0;
}

/* Asks the kernel for a transmit stamp of this reply. */
static void request_stamp(struct udp_io *io, struct msghdr *reply)
{
	const uint32_t flags = SOF_TIMESTAMPING_TX_SOFTWARE;
	uint8_t *bytes = io->sampled_ancillary.bytes;
	struct cmsghdr control = {
		.cmsg_len = CMSG_LEN(sizeof(flags)),
		.cmsg_level = SOL_SOCKET,
		.cmsg_type = SO_TIMESTAMPING,
	};

	if (reply->msg_controllen > 0)
		memcpy(bytes, reply->msg_control, reply->msg_controllen);
	memcpy(bytes + reply->msg_controllen, &control, sizeof(control));
	memcpy(bytes + reply->msg_controllen + CMSG_LEN(0), &flags, sizeof(flags));
	reply->msg_control = bytes;
	reply->msg_controllen += CMSG_SPACE(sizeof(flags));
}

/* Takes a transmit stamp from the error queue; 0 if there is none. */
static clock_ntp_time take_stamp(int fd)
{
	struct ancillary control;
	struct msghdr message = { .msg_control = &control, .msg_controllen = sizeof(control) };
	struct timespec stamp;

	if (recvmsg(fd, &message, MSG_ERRQUEUE | MSG_DONTWAIT) < 0)
		return 0;
	return stamp_find(&message, &stamp) ? clock_to_ntp(&stamp) : 0;
}

void udp_io_clear_stamps(int fd)
{
	for (int i = 0; i < DATAGRAM_BATCH && take_stamp(fd) != 0; i++)
		continue;
}

/* Where the kernel refuses a reply that asks for a stamp, the reply goes without one, and so do all
 * from then on. */
static int send_some(struct udp_io *io, int fd, unsigned first, unsigned replies)
{
	int result = sendmmsg(fd, io->replies + first, replies - first, MSG_DONTWAIT);

	if (result >= 0 || errno != EINVAL || (int)first != io->sampled)
		return result;
	io->replies[first].msg_hdr = io->unasked;
	io->sampled = -1;
	result = sendmmsg(fd, io->replies + first, replies - first, MSG_DONTWAIT);
	if (result <= 0)
		return result; /* there is another reason */
	io->lacks_stamps = true;
	log_limited(&no_stamps, LOG_WARNING,
		    "the kernel gives no transmit stamps: transmit times are less exact");
	return result;
}

/* Sends all; a reply that cannot be sent does not stop those after it. */
static unsigned send_replies(struct udp_io *io, int fd, unsigned replies)
{
	unsigned done = 0, sent = 0;
	int result;

	while (done < replies) {
		result = send_some(io, fd, done, replies);
		sent += result > 0 ? (unsigned)result : 0;
		done += result > 0 ? (unsigned)result : 1;
	}
	return sent;
}

void udp_io_warm_up(struct udp_io *io, int fd, struct datagram items[static DATAGRAM_BATCH],
		    unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		if (items[i].drop != DROP_NONE)
			continue;
		set_reply(io, 0, i, items[i].reply, sizeof(items[i].reply));
		sendmmsg(fd, io->replies, 1, MSG_PROBE | MSG_DONTWAIT);
		return;
	}
}

unsigned udp_io_send(struct udp_io *io, int fd, struct datagram items[static DATAGRAM_BATCH],
		     unsigned count, int sample, clock_ntp_time *stamp)
{
	unsigned replies = 0, sent;

	for (unsigned i = 0; i < count; i++) {
		if (items[i].reply_size > 0)
			set_reply(io, replies++, i, items[i].reply, items[i].reply_size);
	}
	io->sampled = io->lacks_stamps ? -1 : sample;
	if (io->sampled >= 0) {
		io->unasked = io->replies[sample].msg_hdr;
		request_stamp(io, &io->replies[sample].msg_hdr);
	}
	sent = send_replies(io, fd, replies);
	*stamp = io->sampled >= 0 ? take_stamp(fd) : 0;
	return sent;
}

bool udp_io_lacks_stamps(const struct udp_io *io)
{
	return io->lacks_stamps;
}
