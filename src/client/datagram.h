/* Questions by UDP: sent, sent again, and what comes back held against what was asked.
 *
 * Each attempt has a socket of its own and with it a random port (RFC 9109). The sockets are not
 * connected, so that what comes from elsewhere is seen, refused and named. */
#ifndef CLIENT_DATAGRAM_H
#define CLIENT_DATAGRAM_H

#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "base/bytes.h"
#include "client/query.h"

#define DATAGRAM_REQUEST_SIZE 48 /* room for a request */

/* What came back, from where it was asked for. */
struct datagram {
	uint64_t nonce;			/* of the request; random */
	struct timespec sent, received; /* by the system clock: the kernel's stamps where there are
					   any */
	const void *bytes;
	size_t size;
};

enum datagram_verdict {
	DATAGRAM_SETTLED, /* it is the sample, and answer is valid */
	DATAGRAM_DOUBTED, /* it may be the server's, but tells no time: answer says why */
	DATAGRAM_REFUSED, /* it is no answer to this question: *reason says why */
};

struct datagram_protocol {
	/* Writes a request of at most DATAGRAM_REQUEST_SIZE bytes. NULL: an empty one. */
	void (*compose)(struct bytes_writer *request, uint64_t nonce);

	/* Judges what came back. Sets in answer what it tells, or error; for all but
	 * DATAGRAM_SETTLED reason is set to a name, static, for what was wrong. */
	enum datagram_verdict (*judge)(const struct datagram *datagram, struct sample *sample,
				       const char **reason);
};

/* Asks, and fills in answer. What is refused is as though it had not come, but counted by name. An
 * answer that is doubted gives any other, from this address or the next, one more second. */
void datagram_ask(const struct query *query, struct sample *sample,
		  const struct datagram_protocol *protocol);

/* From the sending to the coming back, in nanoseconds; 0 if the clock was set back meanwhile. */
int64_t datagram_delay(const struct datagram *datagram);

#endif
