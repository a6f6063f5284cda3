#include "server/request/udp_io.h"

#include <linux/net_tstamp.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "clock/stamp.h"

/* To send nothing, but go most of the way that sending goes. The kernel takes it from anybody; only
 * the C library does not name it. */
#define MSG_PROBE 0x10

/* Room for what comes with a datagram, an error, or a reply: a stamp or the wish for one, and an
 * address, with what the kernel adds to errors. Aligned as the header has to be. */
struct ancillary {
	_Alignas(struct cmsghdr) uint8_t
		bytes[STAMP_CONTROL_SIZE + CMSG_SPACE(sizeof(struct in6_pktinfo)) + CMSG_SPACE(64)];
};

struct udp_io {
	struct mmsghdr requests[DATAGRAM_BATCH], replies[DATAGRAM_BATCH];
	struct iovec request_bytes[DATAGRAM_BATCH], reply_bytes[DATAGRAM_BATCH];
	struct ancillary ancillary[DATAGRAM_BATCH];
	struct ancillary sampled_ancillary;
	unsigned used; /* requests from here on are as they have to be before a call */
	uint8_t bytes[DATAGRAM_BATCH][DATAGRAM_SIZE];
};

struct udp_io *udp_io_open(struct datagram items[static DATAGRAM_BATCH])
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
	if (io)
		io->used = DATAGRAM_BATCH;
	return io;
}

void udp_io_close(struct udp_io *io)
{
	free(io);
}

/* The kernel's stamp of a message; 0 if it has none. */
static clock_ntp_time find_stamp(struct msghdr *message)
{
	struct timespec stamp;

	return stamp_find(message, &stamp) ? clock_to_ntp(&stamp) : 0;
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
	for (int i = 0; i < count; i++) {
		struct msghdr *request = &io->requests[i].msg_hdr;

		items[i].size = io->requests[i].msg_len;
		items[i].truncated = (request->msg_flags & MSG_TRUNC) != 0;
		items[i].arrival = find_stamp(request);
	}
	return (unsigned)count;
}

/* The reply leaves from the address that was asked. By which interface is the routing table's
 * matter, but a link-local address means nothing without one. */
static void keep_local_address(struct cmsghdr *control, const struct address *peer)
{
	if (control->cmsg_level == IPPROTO_IP) {
		struct in_pktinfo *local = (struct in_pktinfo *)CMSG_DATA(control);

		local->ipi_ifindex = 0;
	} else if (!IN6_IS_ADDR_LINKLOCAL(&peer->ip6.sin6_addr)) {
		struct in6_pktinfo *local = (struct in6_pktinfo *)CMSG_DATA(control);

		local->ipi6_ifindex = 0;
	}
}

static bool is_local_address(const struct cmsghdr *control)
{
	return (control->cmsg_level == IPPROTO_IP && control->cmsg_type == IP_PKTINFO) ||
	       (control->cmsg_level == IPPROTO_IPV6 && control->cmsg_type == IPV6_PKTINFO);
}

/* A reply's control is the piece of its request's that says which address was asked. */
static void address_reply(struct msghdr *reply, struct msghdr *request)
{
	struct cmsghdr *control = CMSG_FIRSTHDR(request);

	while (control && !is_local_address(control))
		control = CMSG_NXTHDR(request, control);
	reply->msg_control = control;
	reply->msg_controllen = control ? CMSG_ALIGN(control->cmsg_len) : 0;
	if (control)
		keep_local_address(control, request->msg_name);
}

static unsigned collect_replies(struct udp_io *io, struct datagram items[static DATAGRAM_BATCH],
				unsigned count)
{
	unsigned replies = 0;

	for (unsigned i = 0; i < count; i++) {
		struct msghdr *request = &io->requests[i].msg_hdr;
		struct msghdr *reply = &io->replies[replies].msg_hdr;

		if (items[i].reply_size == 0)
			continue;
		io->reply_bytes[replies] = (struct iovec){ items[i].reply, items[i].reply_size };
		reply->msg_name = request->msg_name;
		reply->msg_namelen = request->msg_namelen;
		reply->msg_iov = &io->reply_bytes[replies];
		reply->msg_iovlen = 1;
		address_reply(reply, request);
		replies++;
	}
	return replies;
}

/* Asks the kernel to stamp the departure of this reply. */
static void watch(struct udp_io *io, struct msghdr *reply)
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

/* Reads a stamp of departure: 0 if none is there. It comes as that of an arrival would. */
static clock_ntp_time read_departure(int fd)
{
	struct ancillary control;
	struct msghdr message = { .msg_control = &control, .msg_controllen = sizeof(control) };

	return recvmsg(fd, &message, MSG_ERRQUEUE | MSG_DONTWAIT) < 0 ? 0 : find_stamp(&message);
}

void udp_io_clear_errors(int fd)
{
	for (int i = 0; i < DATAGRAM_BATCH && read_departure(fd) != 0; i++)
		continue;
}

/* Sends all; one that cannot be sent holds up none of the others. */
static unsigned send_replies(struct udp_io *io, int fd, unsigned replies)
{
	unsigned done = 0, sent = 0;
	int result;

	while (done < replies) {
		result = sendmmsg(fd, io->replies + done, replies - done, MSG_DONTWAIT);
		sent += result > 0 ? (unsigned)result : 0;
		done += result > 0 ? (unsigned)result : 1;
	}
	return sent;
}

void udp_io_warm_up(struct udp_io *io, int fd, struct datagram items[static DATAGRAM_BATCH],
		    unsigned count)
{
	if (collect_replies(io, items, count) > 0)
		sendmmsg(fd, io->replies, 1, MSG_PROBE | MSG_DONTWAIT);
}

unsigned udp_io_send(struct udp_io *io, int fd, struct datagram items[static DATAGRAM_BATCH],
		     unsigned count, int watched, clock_ntp_time *left)
{
	unsigned replies = collect_replies(io, items, count), sent;

	if (watched >= 0)
		watch(io, &io->replies[watched].msg_hdr);
	sent = send_replies(io, fd, replies);
	*left = watched >= 0 ? read_departure(fd) : 0;
	return sent;
}
