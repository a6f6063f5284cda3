#include "client/tcp.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client/connect.h"
#include "client/timespan.h"

#define CLOSE_GRACE (200 * CLOCK_MILLISECOND) /* for a server to close after its answer */

struct reading {
	struct tcp_reply *reply;
	tcp_is_complete *is_complete;
	bool ended;		     /* by the server */
	bool complete;		     /* can be all */
	int64_t until;		     /* the moment to stop */
	int64_t first_came;	     /* the moment of the first bytes */
	struct timespec first_clock; /* and what the system clock said then */
};

/* Takes in what has come. Returns 0 or an errno value. */
static int receive(int socket, struct reading *reading)
{
	struct tcp_reply *reply = reading->reply;
	ssize_t got =
		recv(socket, reply->bytes + reply->size, TCP_REPLY_MAX - reply->size, MSG_DONTWAIT);

	if (got < 0)
		return errno == EAGAIN ? 0 : errno;
	if (got > 0 && reply->size == 0) {
		reading->first_came = clock_monotonic();
		clock_gettime(CLOCK_REALTIME, &reading->first_clock);
	}
	reply->size += (size_t)got;
	reading->ended = got == 0;
	if (!reading->complete && reading->is_complete(reply)) {
		int64_t grace_end = clock_monotonic() + CLOSE_GRACE;

		reading->complete = true;
		if (reading->until > grace_end)
			reading->until = grace_end;
	}
	return 0;
}

/* Reads until there is an answer to judge. Returns 0, or an errno value with ETIME for the
 * deadline. What is whole stays good whatever becomes of the connection behind it. */
static int read_reply(int socket, struct reading *reading)
{
	struct pollfd readable = { .fd = socket, .events = POLLIN };
	int error = 0;

	while (error == 0 && !reading->ended && reading->reply->size < TCP_REPLY_MAX) {
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
	sample->delay = reading.first_came - connection.started;
	sample->local_time = reading.first_clock;
	return true;
}
