/* The kernel's time stamp of a datagram. */
#ifndef CLOCK_STAMP_H
#define CLOCK_STAMP_H

#include <stdbool.h>
#include <sys/socket.h>
#include <time.h>

/* Room for the control message that holds it. */
#define STAMP_CONTROL_SIZE CMSG_SPACE(sizeof(struct timespec))

/* Has the kernel stamp what arrives at a socket (SO_TIMESTAMPNS). Returns false, with errno, if it
 * does not. */
bool stamp_enable(int fd);

/* Reads the stamp, by the system clock, from a control message of what recvmsg(2) returned. Returns
 * false if that is another one than SCM_TIMESTAMPNS. */
bool stamp_read(const struct cmsghdr *control, struct timespec *stamp);

/* Finds the stamp among all control messages. Returns false if there is none. */
bool stamp_find(struct msghdr *message, struct timespec *stamp);

#endif
