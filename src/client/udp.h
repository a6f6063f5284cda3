/* Questions by UDP: sent, sent again, and what comes back held against what was asked.
 *
 * Each attempt has a socket of its own and with it a random port (RFC 9109). The sockets are not
 * connected, so that what comes from elsewhere is seen, refused and named. */
#ifndef CLIENT_UDP_H
#define CLIENT_UDP_H

#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "base/bytes.h"
#include "client/query.h"

#define UDP_REQUEST_MAX 48 /* room for a request */

/* What came back, from where it was asked for. */
struct udp_reply {
	uint64_t nonce;			/* of the request; random */
	struct timespec sent, received; /* by the system clock: the kernel's stamps where there are
					   any */
	const void *bytes;
	size_t size;
};

enum udp_verdict {
	UDP_ACCEPTED, /* it is the sample, and answer is valid */
	UDP_UNUSABLE, /* it may be the server's, but tells no time: answer says why */
	UDP_REJECTED, /* it is no answer to this question: *reason says why */
};

struct udp_protocol {
	/* Writes a request of at most UDP_REQUEST_MAX bytes. NULL: an empty one. */
	void (*write_request)(struct bytes_writer *request, uint64_t nonce);

	/* Judges what came back. Sets in answer what it tells, or error; for all but
	 * UDP_ACCEPTED reason is set to a name, static, for what was wrong. */
	enum udp_verdict (*check)(const struct udp_reply *reply, struct sample *sample,
				  const char **reason);
};

/* Asks, and fills in answer. What is refused is as though it had not come, but counted by name. An
 * answer that is doubted gives any other, from this address or the next, one more second. */
void udp_query(const struct query *query, struct sample *sample,
	       const struct udp_protocol *protocol);

/* From the sending to the coming back, in nanoseconds; 0 if the clock was set back meanwhile. */
int64_t udp_delay(const struct udp_reply *reply);

#endif
