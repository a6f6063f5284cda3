#include "client/connect.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client/race.h"

static int begin(struct race *race, size_t index, const struct address *address)
{
	int descriptor =
		socket(address->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int error;

	(void)race;
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

static int settle(struct race *race, size_t index, int descriptor)
{
	int error = 0;
	socklen_t size = sizeof(error);

	(void)race;
	(void)index;
	return getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &error, &size) == 0 ? error : errno;
}

int connect_first(struct connection *connection, const struct address *addresses, size_t count,
		  int64_t deadline)
{
	static const struct race_kind kind = {
		.events = POLLOUT,
		.begin = begin,
		.settle = settle,
	};
	struct race race = {
		.kind = &kind,
		.addresses = addresses,
		.address_count = count,
		.deadline = deadline,
	};
	size_t winner = RACE_LIMIT;
	int error = race_run(&race, &winner);

	race_end(&race, winner);
	if (error != 0)
		return error;
	*connection = (struct connection){
		.socket = race.attempts[winner].fd,
		.address = *race_address(&race, winner),
		.started = race.started[winner],
	};
	return 0;
}
