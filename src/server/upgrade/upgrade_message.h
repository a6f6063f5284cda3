/* Messages of an upgrade, between the new process and the daemon that runs.
 *
 * The new process connects to the control socket and sends the command "upgrade". The daemon hands
 * over all that it holds (the pid file, the control socket, its connection to the service manager,
 * every listening socket: nothing is bound again) and keeps serving. Once the new process serves
 * beside it, it sends the command "serving"; then the daemon names it to the service manager, closes
 * the connection, drains its clients and exits. If the new process exits first, or is late, the
 * daemon keeps everything and serves on.
 *
 * Each message is an object of JSON, with at most one descriptor attached:
 *
 *	{"item":"pidfile"}		and "control", "notify"; with a descriptor
 *	{"item":"listener","protocol":"ntp","shard":3,"inherited":false}	with a descriptor
 *	{"item":"end","watchdog":15000000}	in microseconds: that was all
 *	{"version":1,"status":1,"text":"timed out"}	refused: see control_message.h
 *
 * An item or protocol that only a newer version knows is skipped. */
#ifndef SERVER_UPGRADE_MESSAGE_H
#define SERVER_UPGRADE_MESSAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "server/sockets/listeners.h"

#define UPGRADE_MESSAGE_SIZE 256

enum upgrade_item {
	UPGRADE_PIDFILE,
	UPGRADE_CONTROL,
	UPGRADE_NOTIFY,
	UPGRADE_LISTENER,
	UPGRADE_END,
	UPGRADE_REFUSED,
	UPGRADE_UNKNOWN, /* of a newer version: to be skipped */
};

struct upgrade_message {
	enum upgrade_item item;
	int fd;			  /* attached; -1: none */
	struct listener listener; /* of UPGRADE_LISTENER: protocol, shard and inherited only */
	int64_t watchdog;	  /* of UPGRADE_END: nanoseconds between two pings; 0: none */
	char text[128];		  /* of UPGRADE_REFUSED: the reason */
};

/* Sends a message; waits up to a second for room. Returns false, with errno, if that fails. If
 * memory is short, a refusal is sent in its place. The descriptor stays the caller's. */
bool upgrade_message_send(int peer, const struct upgrade_message *message);

/* Receives a message; a descriptor becomes the caller's. Returns false, with errno, if that fails;
 * errno is 0 if the peer has closed the connection or the message is empty. Of several descriptors
 * all but the first are closed. */
bool upgrade_message_receive(int peer, struct upgrade_message *message);

/* Reads a message's text; fd is left alone. */
void upgrade_message_read(const char *line, struct upgrade_message *message);

#endif
