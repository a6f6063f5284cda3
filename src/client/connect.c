#include "client/connect.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client/attempts.h"

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

int connect_first(struct connection *connection, const struct address *addresses, size_t count,
		  int64_t deadline)
{
	static const struct attempts_ops ops = {
		.events = POLLOUT,
		.start = start,
		.check = check,
	};
	struct attempts attempts = {
		.ops = &ops,
		.addresses = addresses,
		.address_count = count,
		.deadline = deadline,
	};
	size_t winner = ATTEMPTS_MAX;
	int error = attempts_run(&attempts, &winner);

	attempts_close(&attempts, winner);
	if (error != 0)
		return error;
	*connection = (struct connection){
		.socket = attempts.polls[winner].fd,
		.address = *attempts_address(&attempts, winner),
		.started = attempts.start_times[winner],
	};
	return 0;
}
