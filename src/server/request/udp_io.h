/* The ends of the straight line as sockets: recvmmsg(2), sendmmsg(2), and the kernel's stamps. */
#ifndef SERVER_UDP_IO_H
#define SERVER_UDP_IO_H

#include "server/request/datagrams.h"

/* Prepares buffers and points each item's bytes to one of them. Returns NULL if memory is short. */
struct udp_io *udp_io_open(struct datagram items[static DATAGRAM_BATCH]);

void udp_io_close(struct udp_io *io);

/* Receives what waits at fd, DATAGRAM_BATCH datagrams at most, into items. Returns how many. */
unsigned udp_io_receive(struct udp_io *io, int fd, struct datagram items[static DATAGRAM_BATCH]);

/* Sends the replies of the first count items received last that have one, from the address that was
 * asked. Returns how many were sent. Reply number watched, of those that there are, is watched on
 * its way (-1: none is), and *left becomes the time when it left; 0: that is not known. */
unsigned udp_io_send(struct udp_io *io, int fd, struct datagram items[static DATAGRAM_BATCH],
		     unsigned count, int watched, clock_ntp_time *left);

/* Takes in what the kernel has told late of a reply that was watched. */
void udp_io_clear_errors(int fd);

/* Goes the way of the first reply, whose bytes need not be there yet, but sends nothing. After a
 * sleep that brings back what the way needs into the caches, and the real reply's way takes a time
 * that can be foretold. */
void udp_io_warm_up(struct udp_io *io, int fd, struct datagram items[static DATAGRAM_BATCH],
		    unsigned count);

#endif
