#include "client/datagram.h"

#include <errno.h>
#include <linux/errqueue.h>
#include <linux/net_tstamp.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client/attempts.h"
#include "client/timespan.h"

#define RETRY_AFTER (1 * CLOCK_SECOND) /* after so long without an answer the question is lost */
#define SECOND_LOOK (1 * CLOCK_SECOND) /* how long a doubted answer waits for another one */
#define BATCH	    16		       /* what is taken before the other attempts get a look */
#define CONTROL	    512

struct request {
	uint64_t nonce;
	struct timespec sent;
};

struct asking {
	struct attempts attempts; /* the first member, which the race's functions are handed */
	const struct datagram_protocol *protocol;
	struct sample *sample;
	bool doubted; /* there is an answer that is not good */
	struct request requests[ATTEMPTS_MAX];
};

/* What came out of a socket. */
struct arrival {
	char bytes[2 * SAMPLE_TEXT_MAX];
	ssize_t size;	       /* -1: errno says why there is none */
	struct address source; /* of a datagram */
	bool stamped;
	struct timespec stamp; /* the kernel's */
	int error;	       /* what the network reports, an errno value; 0: nothing */
};

/* Stamps or not, the question can be asked; and without reports of errors it takes until the
 * deadline to be told of one. */
static void want_stamps_and_errors(int descriptor, sa_family_t family)
{
	const int stamps = SOF_TIMESTAMPING_TX_SOFTWARE | SOF_TIMESTAMPING_RX_SOFTWARE |
			   SOF_TIMESTAMPING_SOFTWARE | SOF_TIMESTAMPING_OPT_TSONLY;
	const int wanted = 1;

	setsockopt(descriptor, SOL_SOCKET, SO_TIMESTAMPING, &stamps, sizeof(stamps));
	if (family == AF_INET)
		setsockopt(descriptor, IPPROTO_IP, IP_RECVERR, &wanted, sizeof(wanted));
	else
		setsockopt(descriptor, IPPROTO_IPV6, IPV6_RECVERR, &wanted, sizeof(wanted));
}

static int send_request(struct asking *asking, struct request *request, int descriptor,
			const struct address *address)
{
	uint8_t bytes[DATAGRAM_REQUEST_SIZE];
	struct bytes_writer writer = bytes_writer_open(bytes, sizeof(bytes));

	if (getrandom(&request->nonce, sizeof(request->nonce), 0) < 0)
		return errno;
	if (asking->protocol->compose)
		asking->protocol->compose(&writer, request->nonce);
	clock_gettime(CLOCK_REALTIME, &request->sent);
	if (sendto(descriptor, bytes, bytes_written(&writer), MSG_NOSIGNAL, &address->any,
		   address_length(address)) < 0)
		return errno;
	return 0;
}

static int start(struct attempts *attempts, size_t index, const struct address *address)
{
	struct asking *asking = (struct asking *)attempts;
	sa_family_t family = address->any.sa_family;
	int descriptor = socket(family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int error;

	if (descriptor < 0)
		return -errno;
	want_stamps_and_errors(descriptor, family);
	error = send_request(asking, &asking->requests[index], descriptor, address);
	if (error == 0)
		return descriptor;
	close(descriptor);
	return -error;
}

static void read_control(struct arrival *arrival, struct msghdr *message)
{
	struct sock_extended_err report;
	struct cmsghdr *item;

	for (item = CMSG_FIRSTHDR(message); item; item = CMSG_NXTHDR(message, item)) {
		if (item->cmsg_level == SOL_SOCKET && item->cmsg_type == SCM_TIMESTAMPING) {
			memcpy(&arrival->stamp, CMSG_DATA(item), sizeof(arrival->stamp));
			arrival->stamped = arrival->stamp.tv_sec != 0;
		} else if (item->cmsg_type == IP_RECVERR || item->cmsg_type == IPV6_RECVERR) {
			memcpy(&report, CMSG_DATA(item), sizeof(report));
			if (report.ee_origin != SO_EE_ORIGIN_TIMESTAMPING)
				arrival->error = (int)report.ee_errno;
		}
	}
}

static void receive(struct arrival *arrival, int descriptor, int flags)
{
	_Alignas(struct cmsghdr) char control[CONTROL];
	struct iovec part = { arrival->bytes, sizeof(arrival->bytes) };
	struct msghdr message = {
		.msg_name = &arrival->source,
		.msg_namelen = sizeof(arrival->source),
		.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};

	arrival->source = (struct address){ 0 };
	arrival->stamped = false;
	arrival->error = 0;
	arrival->size = recvmsg(descriptor, &message, flags);
	if (arrival->size >= 0)
		read_control(arrival, &message);
}

/* Takes the stamp of the sending, and errors, of which it returns the first, an errno value. */
static int take_reports(struct request *request, int descriptor)
{
	struct arrival arrival;

	for (int i = 0; i < BATCH; i++) {
		receive(&arrival, descriptor, MSG_ERRQUEUE);
		if (arrival.size < 0)
			return 0;
		if (arrival.error != 0)
			return arrival.error;
		if (arrival.stamped)
			request->sent = arrival.stamp;
	}
	return 0;
}

static enum datagram_verdict judge(struct asking *asking, const struct request *request,
				   const struct address *server, struct arrival *arrival)
{
	struct datagram datagram = {
		.nonce = request->nonce,
		.sent = request->sent,
		.received = arrival->stamp,
		.bytes = arrival->bytes,
		.size = (size_t)arrival->size,
	};
	const char *reason = "from another address or port";
	enum datagram_verdict verdict = DATAGRAM_REFUSED;

	if (!arrival->stamped)
		clock_gettime(CLOCK_REALTIME, &datagram.received);
	if (address_equal(&arrival->source, server))
		verdict = asking->protocol->judge(&datagram, asking->sample, &reason);
	if (verdict != DATAGRAM_SETTLED)
		sample_reject(asking->sample, reason);
	if (verdict == DATAGRAM_REFUSED)
		return verdict;
	asking->sample->reached = true;
	asking->sample->address = *server;
	asking->sample->local_time = datagram.received;
	return verdict;
}

static void look_further(struct asking *asking)
{
	int64_t until = clock_monotonic() + SECOND_LOOK;

	if (!asking->doubted && until < asking->attempts.deadline)
		asking->attempts.deadline = until;
	asking->doubted = true;
	asking->attempts.one_pass = true; /* it has answered, if only that it cannot */
	attempts_start_next_now(&asking->attempts);
}

static int check(struct attempts *attempts, size_t index, int descriptor)
{
	struct asking *asking = (struct asking *)attempts;
	struct request *request = &asking->requests[index];
	int error = take_reports(request, descriptor);
	struct arrival arrival;

	for (int i = 0; i < BATCH && error == 0; i++) {
		receive(&arrival, descriptor, 0);
		if (arrival.size < 0)
			return errno;
		switch (judge(asking, request, attempts_address(attempts, index), &arrival)) {
		case DATAGRAM_SETTLED:
			return 0;
		case DATAGRAM_DOUBTED:
			look_further(asking);
			break;
		case DATAGRAM_REFUSED:
			break;
		}
	}
	return error == 0 ? EAGAIN : error;
}

void datagram_ask(const struct query *query, struct sample *sample,
		  const struct datagram_protocol *protocol)
{
	static const struct attempts_ops ops = {
		.events = POLLIN,
		.retry_after = RETRY_AFTER,
		.start = start,
		.check = check,
	};
	struct asking asking = {
		.attempts = {
			.ops = &ops,
			.addresses = query->addresses,
			.address_count = query->address_count,
			.deadline = query->deadline,
		},
		.protocol = protocol,
		.sample = sample,
	};
	size_t winner;
	int error = attempts_run(&asking.attempts, &winner);

	attempts_close(&asking.attempts, ATTEMPTS_MAX);
	sample->valid = error == 0;
	if (error != 0 && !asking.doubted)
		sample_fail_errno(sample, error, query->timeout, NULL, 0);
}

int64_t datagram_delay(const struct datagram *datagram)
{
	int64_t delay = (datagram->received.tv_sec - datagram->sent.tv_sec) * CLOCK_SECOND +
			datagram->received.tv_nsec - datagram->sent.tv_nsec;

	return delay > 0 ? delay : 0;
}
