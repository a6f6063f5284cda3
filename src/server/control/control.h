/* The control socket: how "timeserver --signal" asks the daemon something and hears the answer,
 * which a signal could not carry. It lies beside the pid file; root and the daemon's own user are
 * answered. A request is one message, a line; so is the reply: see server/request.h. */
#ifndef SERVER_CONTROL_H
#define SERVER_CONTROL_H

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/types.h>

#include "base/failure.h"

/* No request is longer, and no reply. */
#define CONTROL_REQUEST_MAX 4096
#define CONTROL_REPLY_MAX   131072

/* Peers that are listened to at a time. */
#define CONTROL_PEERS 8

struct control {
	int fd;			  /* where to connect to; -1: not open */
	int peers[CONTROL_PEERS]; /* -1: none */
	unsigned newest;	  /* of the peers */
	bool lent;		  /* by or to another process, which keeps the file */
	char path[PATH_MAX];
	dev_t device; /* and inode: of the file, once it is there */
	ino_t inode;
};

/* Opens the socket that belongs to pidfile, which must be held: what is left of an earlier run, and
 * only a socket, is replaced. */
bool control_open(struct control *control, const char *pidfile, struct failure *failure);

/* Takes for this process' the socket of pidfile that another process has lent as fd. Until lent is
 * false again its file is that one's. fd is the control's in any case. */
bool control_borrow(struct control *control, int fd, const char *pidfile, struct failure *failure);

/* Makes the socket's file another user's, who may then connect to it and remove it. */
void control_chown(const struct control *control, uid_t uid, gid_t gid);

/* Makes a control that is not open. */
void control_clear(struct control *control);

/* Accepts a peer if one waits and has the right: only the operator gets this far, so where there is
 * no room the oldest makes way. Returns its index in peers, or -1; then short_of says whether it
 * still waits, for descriptors or memory, and errno for which. */
int control_accept(struct control *control, bool *short_of);

/* Closes a peer that cannot be heard. */
void control_drop(struct control *control, unsigned peer);

/* Receives a peer's request as a string; false, after closing it, if there is none. */
bool control_receive(struct control *control, unsigned peer, char *request, size_t size);

/* The process that a peer was when it connected. */
pid_t control_peer_process(const struct control *control, unsigned peer);

/* Sends a reply to a peer and closes it. */
void control_reply(struct control *control, unsigned peer, const char *reply);

/* Closes the socket and removes its file. */
void control_close(struct control *control);

/* The other side: connects to the daemon of pidfile, whose messages are waited for for so many
 * seconds. Returns the connection, or -1 with the reason. */
int control_connect(const char *pidfile, int seconds, struct failure *failure);

/* Sends request to the daemon of pidfile and waits seconds for the reply. Returns it, to be freed,
 * or NULL with the reason. */
char *control_ask(const char *pidfile, const char *request, int seconds, struct failure *failure);

#endif
