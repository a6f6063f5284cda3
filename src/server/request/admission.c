#include "server/request/admission.h"

#include "base/hash.h"

#define RESERVED_PORTS 1024

/* Of the replies to NTP requests above the rate, 1 in this number is a KoD. */
#define KOD_SHARE 4

/* A prefix that the access list denies gets one KoD a second. */
static const struct limiter_rate deny_rate = { .interval = CLOCK_SECOND, .burst = 1 };

bool admission_open(struct admission *admission, const struct service *service,
		    struct counters *counters, const struct networks *networks)
{
	struct hash_key seed = hash_key_make();

	*admission = (struct admission){
		.service = service,
		.counters = counters,
		.networks = networks,
		.random = seed.low | 1,
	};
	return limiter_open(&admission->limiter);
}

void admission_close(struct admission *admission)
{
	limiter_close(&admission->limiter);
}

/* True once in n times on average, never for 0. Xorshift: it has to be fair, not secret. */
static bool one_in_n(struct admission *admission, uint32_t n)
{
	uint64_t random = admission->random;

	random ^= random << 13;
	random ^= random >> 7;
	random ^= random << 17;
	admission->random = random;
	return n > 0 && (random >> 32) % n == 0;
}

/* Sources that no request comes from: a reply would go to many hosts, to none, or to ourselves. */
static bool is_bogus_source(const struct listener *listener, const struct address *peer)
{
	uint32_t ip4;

	if (address_port(peer) == 0 || address_equal(peer, &listener->address))
		return true;
	if (address_ip4(peer, &ip4))
		return ip4 >> 24 == 0 || ip4 >> 28 >= 14; /* zero; multicast, reserved, broadcast */
	return IN6_IS_ADDR_UNSPECIFIED(&peer->ip6.sin6_addr) ||
	       IN6_IS_ADDR_MULTICAST(&peer->ip6.sin6_addr);
}

/* Whether another server, which would reply to our reply, may have sent it. */
static bool may_be_server(const struct service *service, const struct datagram *datagram)
{
	uint16_t port = address_port(&datagram->peer);

	return port < RESERVED_PORTS || service_has_port(service, port) ||
	       protocol_is_reply(datagram->bytes, datagram->size);
}

/* Denied by the access list: a KoD now and then, where the protocol has one. */
static enum drop deny(struct admission *admission, const struct protocol *protocol,
		      struct datagram *datagram, int64_t now)
{
	if (!protocol->has_kod ||
	    !limiter_admit(&admission->limiter, &deny_rate, &datagram->peer, false, now))
		return DROP_DENIED;
	datagram->kod = PROTOCOL_KOD_DENY;
	return DROP_NONE;
}

/* Above the rate. Of NTP, one request in `leak` gets a reply, now and then a KoD, so that a forger
 * of a client's address cannot silence it. */
static enum drop over_rate(struct admission *admission, const struct protocol *protocol,
			   struct datagram *datagram)
{
	if (!protocol->has_kod || !one_in_n(admission, admission->service->config.ratelimit.leak))
		return DROP_LIMITED;
	if (one_in_n(admission, KOD_SHARE))
		datagram->kod = PROTOCOL_KOD_RATE;
	return DROP_NONE;
}

/* First what all networks together may get, which costs least, then the rates of the peer's
 * prefixes. Own networks and all others have a ceiling each, so that a flood with forged addresses
 * takes nothing from own networks. */
static enum drop limit(struct admission *admission, const struct protocol *protocol,
		       struct datagram *datagram, int64_t now)
{
	const struct service *service = admission->service;
	bool own = networks_contain(admission->networks, &datagram->peer);
	uint32_t *in_advance = &admission->in_advance[own], ceiling = service->config.ceiling;
	bool has_ceiling = protocol->loop_guard && ceiling > 0;
	enum drop drop;

	if (has_ceiling && *in_advance == 0)
		*in_advance = ceiling_take(&service->ceilings[own], ceiling, now);
	if (has_ceiling && *in_advance == 0) {
		drop = DROP_CEILING;
	} else if (!limiter_admit(&admission->limiter, &service->config.ratelimit.rate,
				  &datagram->peer, own, now)) {
		drop = over_rate(admission, protocol, datagram);
	} else {
		*in_advance -= has_ceiling;
		return DROP_NONE;
	}
	counter_add(&admission->counters->own_limited, own);
	return drop;
}

static enum drop judge(struct admission *admission, const struct listener *listener,
		       struct datagram *datagram, int64_t now)
{
	const struct service *service = admission->service;
	const struct protocol *protocol = listener->protocol;

	if (datagram->truncated)
		return DROP_INVALID;
	if (datagram->to_group || is_bogus_source(listener, &datagram->peer))
		return DROP_LOOP;
	if (!access_allows(&service->config.access, &datagram->peer))
		return deny(admission, protocol, datagram, now);
	if (protocol->loop_guard && may_be_server(service, datagram))
		return DROP_LOOP;
	/* By default only protocols with a loop guard are limited: see config_limits. */
	if (!config_limits(&service->config, protocol))
		return DROP_NONE;
	return limit(admission, protocol, datagram, now);
}

void admission_judge(struct admission *admission, const struct listener *listener,
		     struct datagram *datagram, int64_t now)
{
	datagram->kod = PROTOCOL_KOD_NONE;
	datagram->drop = judge(admission, listener, datagram, now);
}
