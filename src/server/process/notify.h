/* What a service manager is told, by sd_notify(3)'s protocol, and what it hands down: sockets. */
#ifndef SERVER_NOTIFY_H
#define SERVER_NOTIFY_H

#include <stdbool.h>
#include <stdint.h>

struct notify {
	int socket;	   /* -1: nobody to tell */
	int64_t watchdog;  /* nanoseconds between two signs of life; 0: none wanted */
	int inherited;	   /* how many sockets, from descriptor NOTIFY_FIRST_SOCKET on */
	const char *names; /* theirs, separated by colons; NULL if they have none */
};

#define NOTIFY_FIRST_SOCKET 3

/* Reads NOTIFY_SOCKET, WATCHDOG_USEC, LISTEN_FDS and their companions; a value meant for another
 * process or without sense counts as absent. Changes nothing. Connects nothing: see notify_open. */
void notify_read_environment(struct notify *notify);

/* Whether a manager supervises this process and wants no daemon to walk away from it. */
bool notify_is_supervised(void);

/* Connects to the manager, and gives it a second to have room for what it is to be told: there is
 * still nobody else to wait. Without a manager, or if that was done already, does nothing. */
void notify_open(struct notify *notify);

/* Sends a state: lines such as "READY=1". Never blocks; what a manager has no room for is lost. */
void notify_send(const struct notify *notify, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* "RELOADING=1" with the time stamp that systemd wants beside it. */
void notify_send_reloading(const struct notify *notify);

/* The name of an inherited socket (counted from 0), copied into name; empty if it has none. */
void notify_socket_name(const struct notify *notify, int index, char *name, unsigned size);

#endif
