/* Queries by UDP. A request is repeated until its reply comes.
 *
 * Each attempt has a socket, and with it a random source port (RFC 9109). The sockets are not
 * connected, so that packets from elsewhere are seen and counted as rejected. */
#ifndef CLIENT_UDP_H
#define CLIENT_UDP_H

#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "base/bytes.h"
#include "client/query.h"

#define UDP_REQUEST_MAX 48 /* bytes */

/* A packet from the address and port of the request. */
struct udp_reply {
	uint64_t nonce;			/* random, of the request */
	struct timespec sent, received; /* system clock; kernel stamps if available */
	const void *bytes;
	size_t size;
};

enum udp_verdict {
	UDP_ACCEPTED, /* sample is valid */
	UDP_UNUSABLE, /* the server's reply, but without a usable time: sample has the error */
	UDP_DENIED,   /* the same, and its address is not to be queried again */
	UDP_REJECTED, /* not a reply to this request */
};

struct udp_protocol {
	/* Writes a request of at most UDP_REQUEST_MAX bytes. NULL: an empty request. */
	void (*write_request)(struct bytes_writer *request, uint64_t nonce);

	/* Checks a reply and fills in sample. Unless it is accepted, sets reason to a static name
	 * of what is wrong. */
	enum udp_verdict (*check)(const struct udp_reply *reply, struct sample *sample,
				  const char **reason);
};

/* Queries the server and fills in sample. After an unusable reply, this and other addresses have
 * one more second for another one. */
void udp_query(const struct query *query, struct sample *sample,
	       const struct udp_protocol *protocol);

/* Nanoseconds from sent to received; 0 if the clock was set back in between. */
int64_t udp_delay(const struct udp_reply *reply);

#endif
