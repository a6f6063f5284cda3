/* The service manager: notifications by sd_notify(3)'s protocol, and sockets from
 * sd_listen_fds(3). */
#ifndef SERVER_NOTIFY_H
#define SERVER_NOTIFY_H

#include <stdbool.h>
#include <stdint.h>

struct notify {
	int socket;	   /* to the service manager; -1: there is none */
	int64_t watchdog;  /* nanoseconds between two pings; 0: no watchdog */
	int inherited;	   /* number of inherited sockets, from NOTIFY_FIRST_SOCKET on */
	const char *names; /* of the sockets, separated by colons; NULL: none */
};

#define NOTIFY_FIRST_SOCKET 3

/* Reads WATCHDOG_USEC, LISTEN_FDS and their companions. A value that is malformed or for another
 * process is ignored. Does not connect: see notify_open. */
void notify_read_environment(struct notify *notify);

/* Whether a service manager supervises this process: then it must not fork. */
bool notify_is_supervised(void);

/* Connects to NOTIFY_SOCKET and waits up to a second for room in it: no client waits yet. Does
 * nothing without a service manager or if already connected. */
void notify_open(struct notify *notify);

/* Sends a state: lines such as "READY=1". Never blocks; if the socket is full the state is lost. */
void notify_send(const struct notify *notify, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Sends "RELOADING=1" with the time stamp that systemd wants. */
void notify_send_reloading(const struct notify *notify);

/* Copies the name of an inherited socket, counted from 0, into name; empty if it has none. */
void notify_socket_name(const struct notify *notify, int index, char *name, unsigned size);

#endif
