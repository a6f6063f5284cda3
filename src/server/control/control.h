/* The control socket: how "timeserver --signal" sends a request to the daemon and gets a reply,
 * which a signal could not carry. It lies beside the pid file and serves root and the daemon's own
 * user. A request is one message, a line; so is the reply: see control_message.h. A control that is
 * not open does nothing. */
#ifndef SERVER_CONTROL_H
#define SERVER_CONTROL_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/failure.h"
#include "base/log.h"

/* The longest request and the longest reply, in bytes. */
#define CONTROL_REQUEST_MAX 4096
#define CONTROL_REPLY_MAX   131072

/* Peers connected at a time. */
#define CONTROL_PEERS 8

struct control {
	int fd;			  /* the listening socket; -1: not open */
	int epoll;		  /* reports its events and its peers' */
	int peers[CONTROL_PEERS]; /* -1: none */
	unsigned last_peer;	  /* the last one accepted */
	bool accepting;
	int64_t retry_at; /* when to accept again after a shortage; INT64_MAX: no shortage */
	struct log_limit shortages;
	bool owned;	  /* this process removes the file; during an upgrade it is another's */
	bool abstract;	  /* the file was removed and cannot be created: the name is abstract */
	int64_t check_at; /* when to look for the file next */
	char path[PATH_MAX];
	dev_t device; /* and inode: of the file that was created */
	ino_t inode;
};

/* Makes a control that is not open. */
void control_clear(struct control *control);

/* Opens the socket that belongs to pidfile, which must be held. A socket without a listener is
 * replaced; any other file in its place is a failure. */
bool control_open(struct control *control, const char *pidfile, struct failure *failure);

/* Takes over the socket of pidfile, open as fd, from a daemon that hands it over. fd belongs to
 * control also after a failure. The file stays that daemon's to remove until owned is set. */
bool control_take_over(struct control *control, int fd, const char *pidfile,
		       struct failure *failure);

/* The socket that was taken over is now this process's own. */
void control_own(struct control *control);

/* Gives the file of a socket that control_open has opened to a user, who may then connect to it and
 * remove it. Anything else that has its name by now keeps its owner. */
void control_chown(const struct control *control, uid_t uid, gid_t gid);

/* Accepts peers from now on. epoll reports their events with the kind EVENT_CONTROL; the index is
 * the peer's, or CONTROL_PEERS for a new peer. Returns false, with errno, if epoll fails. */
bool control_start(struct control *control, int epoll);

/* Stops accepting peers, and accepts them again. If that fails, control_tick tries again later. */
void control_pause(struct control *control);
bool control_resume(struct control *control);

/* Accepts a peer of an allowed user, in place of the oldest one. Descriptors or memory short: logs
 * that and pauses for a second. */
void control_accept(struct control *control);

/* Looks for the socket's file, and creates it again, with a new socket, if it was removed. If that
 * is not possible, the new socket gets an abstract name. */
void control_restore(struct control *control);

/* Resumes and restores if that is due at now, on the monotonic clock. Returns when to call it
 * again. */
int64_t control_tick(struct control *control, int64_t now);

/* Receives a peer's request as a string. Returns false if there is none; then the peer may have
 * been closed. */
bool control_receive(struct control *control, unsigned peer, char *request, size_t size);

/* The process of a peer when it connected; 0: unknown. */
pid_t control_peer_process(const struct control *control, unsigned peer);

/* Sends a reply to a peer and closes it. */
void control_reply(struct control *control, unsigned peer, const char *reply);

/* Closes a peer. */
void control_drop(struct control *control, unsigned peer);

/* Closes the socket, and removes its file if it is owned. */
void control_close(struct control *control);

#endif
