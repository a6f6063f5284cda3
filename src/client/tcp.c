#include "client/tcp.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client/connect.h"
#include "client/timespan.h"

#define CLOSE_GRACE (200 * CLOCK_MILLISECOND) /* for the server to close after its reply */

struct reading {
	struct tcp_reply *reply;
	tcp_is_complete *is_complete;
	bool closed; /* by the server */
	bool complete;
	int64_t until;		    /* monotonic */
	int64_t first_bytes;	    /* monotonic time of the first bytes */
	struct timespec local_time; /* the same by the system clock */
};

/* Reads what is available. Returns 0 or an errno value. */
static int receive(int socket, struct reading *reading)
{
	struct tcp_reply *reply = reading->reply;
	ssize_t got =
		recv(socket, reply->bytes + reply->size, TCP_REPLY_MAX - reply->size, MSG_DONTWAIT);

	if (got < 0)
		return errno == EAGAIN ? 0 : errno;
	if (got > 0 && reply->size == 0) {
		reading->first_bytes = clock_monotonic();
		clock_gettime(CLOCK_REALTIME, &reading->local_time);
	}
	reply->size += (size_t)got;
	reading->closed = got == 0;
	if (!reading->complete && reading->is_complete(reply)) {
		int64_t grace_end = clock_monotonic() + CLOSE_GRACE;

		reading->complete = true;
		if (reading->until > grace_end)
			reading->until = grace_end;
	}
	return 0;
}

/* Reads the reply. Returns 0 or an errno value, ETIME at the deadline. A later error does not
 * invalidate a complete reply. */
static int read_reply(int socket, struct reading *reading)
{
	struct pollfd readable = { .fd = socket, .events = POLLIN };
	int error = 0;

	while (error == 0 && !reading->closed && reading->reply->size < TCP_REPLY_MAX) {
		int ready = timespan_poll(&readable, 1, reading->until);

		if (ready > 0)
			error = receive(socket, reading);
		else
			error = ready == 0 ? ETIME : errno;
	}
	return reading->complete ? 0 : error;
}

bool tcp_query(struct tcp_reply *reply, const struct query *query, struct sample *sample,
	       tcp_is_complete *is_complete)
{
	struct reading reading = {
		.reply = reply,
		.is_complete = is_complete,
		.until = query->deadline,
	};
	struct connection connection;
	int error =
		connect_first(&connection, query->addresses, query->address_count, query->deadline);

	reply->size = 0;
	if (error != 0)
		return sample_fail_errno(sample, error, query->timeout, NULL, 0);
	sample->reached = true;
	sample->address = connection.address;
	error = read_reply(connection.socket, &reading);
	close(connection.socket);
	if (error != 0)
		return sample_fail_errno(sample, error, query->timeout, reply->bytes, reply->size);
	sample->delay = reading.first_bytes - connection.started;
	sample->local_time = reading.local_time;
	return true;
}
