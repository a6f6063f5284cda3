#include "client/tcp.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client/attempts.h"
#include "client/timespan.h"

#define CLOSE_GRACE (200 * CLOCK_MILLISECOND) /* for the server to close after its reply */

static int start(struct attempts *attempts, size_t index, const struct address *address)
{
	int descriptor =
		socket(address->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int error;

	(void)attempts;
	(void)index;
	if (descriptor < 0)
		return -errno;
	if (connect(descriptor, &address->any, address_length(address)) == 0 ||
	    errno == EINPROGRESS)
		return descriptor;
	error = errno;
	close(descriptor);
	return -error;
}

static int check(struct attempts *attempts, size_t index, int descriptor)
{
	int error = 0;
	socklen_t size = sizeof(error);

	(void)attempts;
	(void)index;
	return getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &error, &size) == 0 ? error : errno;
}

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

/* Connects to the first address that accepts, and sets the address of sample. Returns 0 and the
 * socket and the monotonic time of its connect call, or an errno value. */
static int open_connection(const struct query *query, struct sample *sample, int *socket,
			   int64_t *started)
{
	static const struct attempts_ops ops = {
		.events = POLLOUT,
		.start = start,
		.check = check,
	};
	struct attempts attempts = {
		.ops = &ops,
		.addresses = query->addresses,
		.address_count = query->address_count,
		.deadline = query->deadline,
	};
	size_t winner = ATTEMPTS_MAX;
	int error = attempts_run(&attempts, &winner);

	attempts_close(&attempts, winner);
	if (error != 0)
		return error;
	sample->reached = true;
	sample->address = *attempts_address(&attempts, winner);
	*socket = attempts.polls[winner].fd;
	*started = attempts.start_times[winner];
	return 0;
}

bool tcp_query(struct tcp_reply *reply, const struct query *query, struct sample *sample,
	       tcp_is_complete *is_complete)
{
	struct reading reading = {
		.reply = reply,
		.is_complete = is_complete,
		.until = query->deadline,
	};
	int64_t started;
	int socket, error = open_connection(query, sample, &socket, &started);

	reply->size = 0;
	if (error == 0) {
		error = read_reply(socket, &reading);
		close(socket);
	}
	if (error != 0)
		return sample_fail_errno(sample, error, query->timeout, reply->bytes, reply->size);
	sample->delay = reading.first_bytes - started;
	sample->local_time = reading.local_time;
	return true;
}
