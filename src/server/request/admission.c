#include "server/request/admission.h"

#include <netinet/in.h>

#include "server/request/datagrams.h"

#define RESERVED_PORTS 1024
#define KISS_INTERVAL  CLOCK_SECOND /* a prefix that is denied hears so this often at most */

static const struct limiter_rate kiss_rate = { .interval = KISS_INTERVAL, .burst = 1 };

bool admission_open(struct admission *admission, const struct service *service)
{
	struct hash_key seed = hash_key_make();

	*admission = (struct admission){ .service = service, .random = seed.low | 1 };
	return limiter_open(&admission->limiter);
}

void admission_close(struct admission *admission)
{
	limiter_close(&admission->limiter);
}

/* Xorshift: that others cannot guess it is not asked for, only that it is fair. */
static bool one_in_n(struct admission *admission, uint32_t number)
{
	uint64_t random = admission->random;

	random ^= random << 13;
	random ^= random >> 7;
	random ^= random << 17;
	admission->random = random;
	return number > 0 && (random >> 32) % number == 0;
}

static bool is_bogus_ip4(uint32_t address)
{
	return address >> 24 == 0 || address >> 28 >= 14; /* multicast, reserved, broadcast */
}

/* Sources that no request can come from: a reply would go to many, to nobody, or to ourselves. */
static bool is_bogus_source(const struct listener *listener, const struct address *peer)
{
	if (address_port(peer) == 0 || address_equal(peer, &listener->address))
		return true;
	if (peer->any.sa_family == AF_INET)
		return is_bogus_ip4(ntohl(peer->ip4.sin_addr.s_addr));
	if (IN6_IS_ADDR_V4MAPPED(&peer->ip6.sin6_addr)) /* at a socket that was inherited */
		return is_bogus_ip4(ntohl(peer->ip6.sin6_addr.s6_addr32[3]));
	return IN6_IS_ADDR_UNSPECIFIED(&peer->ip6.sin6_addr) ||
	       IN6_IS_ADDR_MULTICAST(&peer->ip6.sin6_addr);
}

/* Whether an answer might be answered by another server of this kind, and that again by us. */
static bool may_be_server(const struct service *service, const struct datagram *datagram,
			  time_t second)
{
	uint16_t port = address_port(&datagram->peer);

	return port < RESERVED_PORTS || service_has_port(service, port) ||
	       protocol_is_reply(datagram->bytes, datagram->size, second);
}

/* Above the rate. Some are answered all the same, or whoever forges a client's address could keep
 * it from being answered at all. */
static enum drop over_limit(struct admission *admission, const struct listener *listener,
			    enum verdict *verdict)
{
	uint32_t leak = admission->service->config.ratelimit.leak;

	if (listener->protocol->answers_anything)
		return DROP_LIMITED;
	if (one_in_n(admission, leak))
		return DROP_COUNT;
	*verdict = VERDICT_LIMITED;
	return one_in_n(admission, leak) ? DROP_COUNT : DROP_LIMITED;
}

enum drop admit_datagram(struct admission *admission, const struct listener *listener,
			 const struct datagram *datagram, int64_t now, time_t second,
			 enum verdict *verdict)
{
	const struct service *service = admission->service;
	const struct protocol *protocol = listener->protocol;

	*verdict = VERDICT_ADMIT;
	if (datagram->truncated)
		return DROP_INVALID;
	if (is_bogus_source(listener, &datagram->peer))
		return DROP_LOOP;
	if (!access_allows(&service->config.access, &datagram->peer)) {
		*verdict = VERDICT_DENIED;
		return !protocol->answers_anything && limiter_admit(&admission->limiter, &kiss_rate,
								    &datagram->peer, now) ?
			       DROP_COUNT :
			       DROP_DENIED;
	}
	if (protocol->answers_anything && may_be_server(service, datagram, second))
		return DROP_LOOP;
	if (config_limits(&service->config, protocol) &&
	    !limiter_admit(&admission->limiter, &service->config.ratelimit.rate, &datagram->peer,
			   now))
		return over_limit(admission, listener, verdict);
	return DROP_COUNT;
}
