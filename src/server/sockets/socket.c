#include "server/sockets/socket.h"

#include <errno.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/hash.h"
#include "base/log.h"
#include "clock/stamp.h"

static bool set_option(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof(value)) == 0;
}

bool socket_enable_reuseport(int fd)
{
	return set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1);
}

/* A reply is one segment, so there is no congestion to control: the simplest algorithm, which every
 * kernel has, costs least. Accepted sockets inherit it. */
static void choose_congestion_control(int fd)
{
	setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "reno", strlen("reno"));
}

/* Replies fit every path: the kernel need not track the path MTU. */
static void ignore_path_mtu(int fd, sa_family_t family)
{
	if (family == AF_INET6)
		set_option(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_PROBE);
	else
		set_option(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE);
}

/* Only a wildcard socket needs the destination address of each request. One of IPv6 may take IPv4,
 * too. */
static bool want_local_address(int fd, const struct address *address)
{
	bool six = address->any.sa_family == AF_INET6;

	if (!address_is_any(address))
		return true;
	return set_option(fd, IPPROTO_IP, IP_PKTINFO, 1) &&
	       (!six || set_option(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1));
}

/* Whether it is an address of many hosts, which no reply can come from. Only the kernel knows the
 * broadcast address of a network: without SO_BROADCAST it refuses to connect to that. */
static bool is_group(const struct address *address)
{
	int fd;
	bool refused;

	if (address_is_group(address) || address->any.sa_family != AF_INET)
		return address_is_group(address);
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	refused =
		fd >= 0 && connect(fd, &address->any, sizeof(address->ip4)) < 0 && errno == EACCES;
	if (fd >= 0)
		close(fd);
	return refused;
}

/* Without stamps, the arrival of a request is the time at which it is read. */
static void want_stamps(int fd)
{
	static struct log_limit refused;

	if (!stamp_enable(fd))
		log_limited(&refused, LOG_WARNING,
			    "the kernel gives no receive stamps: receive times are less exact: %m");
}

bool socket_prepare(int fd, const struct protocol *protocol, const struct address *address)
{
	if (protocol->transport == TRANSPORT_TCP) {
		choose_congestion_control(fd);
		return true;
	}
	if (is_group(address)) {
		errno = EADDRNOTAVAIL;
		return false;
	}
	ignore_path_mtu(fd, address->any.sa_family);
	if (protocol->kernel_stamps)
		want_stamps(fd);
	return want_local_address(fd, address);
}

/* At boot, DHCP or duplicate address detection may still be running. */
static bool bind_in_advance(int fd, const struct address *address)
{
	bool six = address->any.sa_family == AF_INET6;

	if (bind(fd, &address->any, address_length(address)) == 0)
		return true;
	if (errno != EADDRNOTAVAIL || address_is_any(address))
		return false;
	if (!set_option(fd, six ? IPPROTO_IPV6 : IPPROTO_IP, six ? IPV6_FREEBIND : IP_FREEBIND,
			1)) {
		errno = EADDRNOTAVAIL;
		return false;
	}
	return bind(fd, &address->any, address_length(address)) == 0;
}

bool socket_lacks_address(const struct address *address)
{
	struct address other_port = *address;
	int fd = socket(address->any.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool lacks;

	if (address->any.sa_family == AF_INET6)
		other_port.ip6.sin6_port = 0;
	else
		other_port.ip4.sin_port = 0;
	lacks = fd >= 0 && bind(fd, &other_port.any, address_length(&other_port)) < 0 &&
		errno == EADDRNOTAVAIL;
	fd_close(&fd);
	return lacks;
}

void socket_refuse(int fd)
{
	const struct sockaddr none = { .sa_family = AF_UNSPEC };

	if (connect(fd, &none, sizeof(none)) < 0)
		log_write(LOG_ERR, "cannot refuse connections: %m");
}

/* What a second shutdown(2) leaves would apply to all later connections: socket_refuse clears it,
 * but drops the connections that wait in a listener. */
bool socket_listen(int fd)
{
	int listens = 0;
	socklen_t size = sizeof(listens);

	if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) == 0 && !listens)
		socket_refuse(fd);
	return listen(fd, SOCKET_BACKLOG) == 0;
}

/* SO_REUSEADDR for TCP, because of connections of the last run in TIME_WAIT; for UDP it would let
 * others take the port. */
int socket_open(const struct protocol *protocol, const struct address *address, bool shared,
		uid_t owner)
{
	bool tcp = protocol->transport == TRANSPORT_TCP;
	int type = (tcp ? SOCK_STREAM : SOCK_DGRAM) | SOCK_NONBLOCK | SOCK_CLOEXEC;
	int fd = socket(address->any.sa_family, type, 0), saved_errno;

	if (fd < 0)
		return -1;
	if (owner == geteuid() || fchown(fd, owner, (gid_t)-1) < 0)
		errno = 0; /* without the right to it, bind fails where the owner counts */
	if ((!tcp || set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1)) &&
	    (!shared || socket_enable_reuseport(fd)) &&
	    (address->any.sa_family != AF_INET6 || set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1)) &&
	    socket_prepare(fd, protocol, address) && bind_in_advance(fd, address) &&
	    (!tcp || listen(fd, SOCKET_BACKLOG) == 0))
		return fd;
	saved_errno = errno;
	close(fd);
	errno = saved_errno;
	return -1;
}

#define LOAD(offset)	  BPF_STMT(BPF_LD | BPF_W | BPF_ABS, SKF_NET_OFF + (offset))
#define COMPUTE(what, by) BPF_STMT(BPF_ALU | (what) | BPF_K, (by))

/* One round of a hash: the upper bits, which a product mixes best, go into the lower ones. */
#define MIX(mask, factor)                                                                  \
	COMPUTE(BPF_XOR, mask), COMPUTE(BPF_MUL, factor), BPF_STMT(BPF_MISC | BPF_TAX, 0), \
		COMPUTE(BPF_RSH, 16), BPF_STMT(BPF_ALU | BPF_XOR | BPF_X, 0)

/* Secret, so that an attacker cannot choose networks that load one worker alone. Kept as long as
 * the process, so that a reload changes no network's worker. */
static const struct hash_key *source_key(void)
{
	static struct hash_key key;

	if (key.low == 0)
		key = hash_key_make();
	return &key;
}

bool socket_attach_source_hash(int fd, const struct address *address, unsigned count)
{
	const struct hash_key *key = source_key();
	uint32_t mask = (uint32_t)key->low, factor = (uint32_t)(key->low >> 32) | 1;
	uint32_t mask6 = (uint32_t)key->high, factor6 = (uint32_t)(key->high >> 32) | 1;
	struct sock_filter ip4[] = {
		LOAD(12), /* the source address */
		COMPUTE(BPF_AND, 0xffffff00),
		MIX(mask, factor),
		MIX(mask6, factor6),
		COMPUTE(BPF_MOD, count),
		BPF_STMT(BPF_RET | BPF_A, 0),
	};
	struct sock_filter ip6[] = {
		LOAD(8),
		MIX(mask6, factor6),
		BPF_STMT(BPF_ST, 0),
		LOAD(12),
		COMPUTE(BPF_AND, 0xffff0000),
		BPF_STMT(BPF_LDX | BPF_MEM, 0),
		BPF_STMT(BPF_ALU | BPF_XOR | BPF_X, 0),
		MIX(mask, factor),
		MIX(mask6, factor6),
		COMPUTE(BPF_MOD, count),
		BPF_STMT(BPF_RET | BPF_A, 0),
	};
	bool six = address->any.sa_family == AF_INET6;
	struct sock_fprog program = {
		.len = six ? sizeof(ip6) / sizeof(ip6[0]) : sizeof(ip4) / sizeof(ip4[0]),
		.filter = six ? ip6 : ip4,
	};

	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &program, sizeof(program)) == 0;
}

void socket_detach_source_hash(int fd)
{
	set_option(fd, SOL_SOCKET, SO_DETACH_REUSEPORT_BPF, 0);
}
