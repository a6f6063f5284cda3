/* Both ends of the straight line as sockets: recvmmsg(2), sendmmsg(2), and the kernel's stamps. */
#ifndef SERVER_UDP_IO_H
#define SERVER_UDP_IO_H

#include "server/request/datagram.h"
#include "server/sockets/interfaces.h"

struct udp_io;

/* Allocates buffers and points each item's bytes to one of them. Replies leave by the interfaces
 * that interfaces names, which outlives the result. Returns NULL if memory is short. */
struct udp_io *udp_io_open(struct datagram items[static DATAGRAM_BATCH],
			   const struct interfaces *interfaces);

void udp_io_close(struct udp_io *io);

/* Receives what waits at fd, DATAGRAM_BATCH datagrams at most, into items. Returns how many. */
unsigned udp_io_receive(struct udp_io *io, int fd, struct datagram items[static DATAGRAM_BATCH]);

/* Sends the replies among the first count items, each from the destination address of its request.
 * Returns how many were sent. sample is the index of a reply, counted without the items that have
 * none (-1: no sample); *stamp becomes its transmit time, 0 if the kernel gave none. */
unsigned udp_io_send(struct udp_io *io, int fd, struct datagram items[static DATAGRAM_BATCH],
		     unsigned count, int sample, clock_ntp_time *stamp);

/* Whether the kernel has refused to give transmit stamps, which are then no longer asked for. */
bool udp_io_lacks_stamps(const struct udp_io *io);

/* Discards transmit stamps that came too late to be used. */
void udp_io_clear_stamps(int fd);

/* Brings the code and data of the send path back into the caches after a sleep, by a send that
 * sends nothing, so that the real one takes a time that can be predicted. */
void udp_io_warm_up(struct udp_io *io, int fd, struct datagram items[static DATAGRAM_BATCH],
		    unsigned count);

#endif
