#include "client/udp.h"

#include <errno.h>
#include <linux/errqueue.h>
#include <linux/net_tstamp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/hash.h"
#include "client/attempts.h"
#include "client/timespan.h"

#define RETRY_AFTER (1 * CLOCK_SECOND)
#define BETTER_WAIT (1 * CLOCK_SECOND) /* for another reply after an unusable one */
#define BATCH	    16		       /* packets read before other attempts are checked */
#define CONTROL	    512		       /* bytes of control messages */

struct udp_request {
	uint64_t nonce;
	struct timespec sent;
};

struct udp_job {
	struct attempts attempts; /* first: attempts_ops get a pointer to it */
	const struct udp_protocol *protocol;
	struct query_denied *denied;
	struct sample *sample;
	bool unusable; /* a reply was */
	struct udp_request requests[ATTEMPTS_MAX];
};

/* Received from a socket or its error queue. */
struct udp_datagram {
	char bytes[2 * SAMPLE_TEXT_MAX];
	ssize_t size; /* -1: errno is set */
	struct address source;
	bool stamped;
	struct timespec stamp; /* by the kernel */
	int error;	       /* from the network, an errno value; or 0 */
};

/* Failures are ignored: without stamps the system clock is read, without error reports the query
 * times out. */
static void enable_stamps_and_errors(int descriptor, sa_family_t family)
{
	const int stamps = SOF_TIMESTAMPING_TX_SOFTWARE | SOF_TIMESTAMPING_RX_SOFTWARE |
			   SOF_TIMESTAMPING_SOFTWARE | SOF_TIMESTAMPING_OPT_TSONLY;
	const int on = 1;

	setsockopt(descriptor, SOL_SOCKET, SO_TIMESTAMPING, &stamps, sizeof(stamps));
	if (family == AF_INET)
		setsockopt(descriptor, IPPROTO_IP, IP_RECVERR, &on, sizeof(on));
	else
		setsockopt(descriptor, IPPROTO_IPV6, IPV6_RECVERR, &on, sizeof(on));
}

static int send_request(struct udp_job *job, struct udp_request *request, int descriptor,
			const struct address *address)
{
	uint8_t bytes[UDP_REQUEST_MAX];
	struct bytes_writer writer = bytes_writer_open(bytes, sizeof(bytes));

	request->nonce = hash_key_make().low;
	if (job->protocol->write_request)
		job->protocol->write_request(&writer, request->nonce);
	clock_gettime(CLOCK_REALTIME, &request->sent);
	if (sendto(descriptor, bytes, bytes_written(&writer), MSG_NOSIGNAL, &address->any,
		   address_length(address)) < 0)
		return errno;
	return 0;
}

static int start(struct attempts *attempts, size_t index, const struct address *address)
{
	struct udp_job *job = (struct udp_job *)attempts;
	sa_family_t family = address->any.sa_family;
	int descriptor = socket(family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int error;

	if (descriptor < 0)
		return -errno;
	enable_stamps_and_errors(descriptor, family);
	error = send_request(job, &job->requests[index], descriptor, address);
	if (error == 0)
		return descriptor;
	close(descriptor);
	return -error;
}

static void read_control(struct udp_datagram *datagram, struct msghdr *message)
{
	struct sock_extended_err report;
	struct cmsghdr *item;

	for (item = CMSG_FIRSTHDR(message); item; item = CMSG_NXTHDR(message, item)) {
		if (item->cmsg_level == SOL_SOCKET && item->cmsg_type == SCM_TIMESTAMPING) {
			memcpy(&datagram->stamp, CMSG_DATA(item), sizeof(datagram->stamp));
			datagram->stamped = datagram->stamp.tv_sec != 0;
		} else if (item->cmsg_type == IP_RECVERR || item->cmsg_type == IPV6_RECVERR) {
			memcpy(&report, CMSG_DATA(item), sizeof(report));
			if (report.ee_origin != SO_EE_ORIGIN_TIMESTAMPING)
				datagram->error = (int)report.ee_errno;
		}
	}
}

static void receive(struct udp_datagram *datagram, int descriptor, int flags)
{
	_Alignas(struct cmsghdr) char control[CONTROL];
	struct iovec part = { datagram->bytes, sizeof(datagram->bytes) };
	struct msghdr message = {
		.msg_name = &datagram->source,
		.msg_namelen = sizeof(datagram->source),
		.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};

	datagram->source = (struct address){ 0 };
	datagram->stamped = false;
	datagram->error = 0;
	datagram->size = recvmsg(descriptor, &message, flags);
	if (datagram->size >= 0)
		read_control(datagram, &message);
}

/* Reads the transmit stamp and errors. Returns the first error, an errno value, or 0. */
static int read_error_queue(struct udp_request *request, int descriptor)
{
	struct udp_datagram datagram;

	for (int i = 0; i < BATCH; i++) {
		receive(&datagram, descriptor, MSG_ERRQUEUE);
		if (datagram.size < 0)
			return 0;
		if (datagram.error != 0)
			return datagram.error;
		if (datagram.stamped)
			request->sent = datagram.stamp;
	}
	return 0;
}

static enum udp_verdict check_reply(struct udp_job *job, const struct udp_request *request,
				    const struct address *server, struct udp_datagram *datagram)
{
	struct udp_reply reply = {
		.nonce = request->nonce,
		.sent = request->sent,
		.received = datagram->stamp,
		.bytes = datagram->bytes,
		.size = (size_t)datagram->size,
	};
	const char *reason = "from another address or port";
	enum udp_verdict verdict = UDP_REJECTED;

	if (!datagram->stamped)
		clock_gettime(CLOCK_REALTIME, &reply.received);
	if (address_equal(&datagram->source, server))
		verdict = job->protocol->check(&reply, job->sample, &reason);
	if (verdict != UDP_ACCEPTED)
		sample_reject(job->sample, reason);
	if (verdict == UDP_REJECTED)
		return verdict;
	job->sample->reached = true;
	job->sample->address = *server;
	job->sample->local_time = reply.received;
	return verdict;
}

static void deny(struct query_denied *denied, const struct address *address)
{
	denied->addresses[denied->count++ % RESOLVE_MAX] = *address;
}

static void wait_for_better(struct udp_job *job)
{
	int64_t until = clock_monotonic() + BETTER_WAIT;

	if (!job->unusable && until < job->attempts.deadline)
		job->attempts.deadline = until;
	job->unusable = true;
	job->attempts.one_pass = true; /* a server without time is not to be asked again */
	attempts_start_next_now(&job->attempts);
}

static int check(struct attempts *attempts, size_t index, int descriptor)
{
	struct udp_job *job = (struct udp_job *)attempts;
	struct udp_request *request = &job->requests[index];
	int error = read_error_queue(request, descriptor);
	const struct address *server = attempts_address(attempts, index);
	struct udp_datagram datagram;

	for (int i = 0; i < BATCH && error == 0; i++) {
		receive(&datagram, descriptor, 0);
		if (datagram.size < 0)
			return errno;
		switch (check_reply(job, request, server, &datagram)) {
		case UDP_ACCEPTED:
			return 0;
		case UDP_DENIED:
			deny(job->denied, server);
			wait_for_better(job);
			break;
		case UDP_UNUSABLE:
			wait_for_better(job);
			break;
		case UDP_REJECTED:
			break;
		}
	}
	return error == 0 ? EAGAIN : error;
}

void udp_query(const struct query *query, struct sample *sample,
	       const struct udp_protocol *protocol)
{
	static const struct attempts_ops ops = {
		.events = POLLIN,
		.retry_after = RETRY_AFTER,
		.start = start,
		.check = check,
	};
	struct udp_job job = {
		.attempts = {
			.ops = &ops,
			.addresses = query->addresses,
			.address_count = query->address_count,
			.deadline = query->deadline,
		},
		.protocol = protocol,
		.denied = query->denied,
		.sample = sample,
	};
	size_t winner;
	int error = attempts_run(&job.attempts, &winner);

	attempts_close(&job.attempts, ATTEMPTS_MAX);
	sample->valid = error == 0;
	if (error != 0 && !job.unusable)
		sample_fail_errno(sample, error, query->timeout, NULL, 0);
}

int64_t udp_delay(const struct udp_reply *reply)
{
	int64_t delay = (reply->received.tv_sec - reply->sent.tv_sec) * CLOCK_SECOND +
			reply->received.tv_nsec - reply->sent.tv_nsec;

	return delay > 0 ? delay : 0;
}
