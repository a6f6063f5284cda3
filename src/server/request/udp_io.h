/* Both ends of the straight line as sockets: recvmmsg(2), sendmmsg(2), and the kernel's stamps. */
#ifndef SERVER_UDP_IO_H
#define SERVER_UDP_IO_H

#include "server/request/datagram.h"

struct udp_io;

/* Allocates buffers and points each item's bytes to one of them. Returns NULL if memory is
 * short. */
struct udp_io *udp_io_open(struct datagram items[static DATAGRAM_BATCH]);

void udp_io_close(struct udp_io *io);

/* Receives what waits at fd, DATAGRAM_BATCH datagrams at most, into items. Returns how many. */
unsigned udp_io_receive(struct udp_io *io, int fd, struct datagram items[static DATAGRAM_BATCH]);

/* Sends the replies of the first count items received last that have one, each from the address
 * that was asked. Returns how many were sent. Of reply number sample (-1: of none), counted from 0
 * among those that there are, *stamp becomes the time when it left; 0: no stamp. */
unsigned udp_io_send(struct udp_io *io, int fd, struct datagram items[static DATAGRAM_BATCH],
		     unsigned count, int sample, clock_ntp_time *stamp);

/* Discards transmit stamps that came too late to be used. */
void udp_io_clear_stamps(int fd);

/* Brings the code and data of the send path back into the caches after a sleep, by a send that
 * sends nothing, so that the real one takes a time that can be predicted. */
void udp_io_warm_up(struct udp_io *io, int fd, struct datagram items[static DATAGRAM_BATCH],
		    unsigned count);

#endif
