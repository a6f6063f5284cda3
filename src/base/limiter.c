#include "base/limiter.h"

#include <sys/mman.h>

/* A prefix is its hash and a theoretical arrival time (generic cell rate algorithm, ITU-T I.371).
 * Each request adds an interval to that time; a request is refused while it is more than a burst
 * less one ahead of now. An entry whose time has passed is as good as empty. */
struct limiter_entry {
	uint64_t hash;
	int64_t free_at;
};

_Static_assert(sizeof(struct limiter_entry) * LIMITER_PREFIXES == LIMITER_SIZE, "as promised");

/* The entries of a set are two cache lines, which processors fetch together. */
#define WAYS 8
#define SETS (LIMITER_PREFIXES / WAYS)

/* A time plus two of these does not overflow. */
#define LONGEST (INT64_MAX / 4)

/* The rate of one prefix length. */
struct allowance {
	int64_t interval;
	int64_t ahead; /* free_at - now of a request within the rate, at most */
};

bool limiter_open(struct limiter *limiter)
{
	/* Not from the heap, which would clear it and so touch every page. */
	void *memory = mmap(NULL, LIMITER_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			    -1, 0);

	*limiter = (struct limiter){ 0 };
	if (memory == MAP_FAILED)
		return false;
	limiter->key = hash_key_make();
	limiter->entries = memory;
	return true;
}

void limiter_close(struct limiter *limiter)
{
	if (limiter->entries)
		munmap(limiter->entries, LIMITER_SIZE);
	*limiter = (struct limiter){ 0 };
}

/* The rate times a factor. */
static struct allowance allowance_of(const struct limiter_rate *rate, int64_t times)
{
	struct allowance allowance = { .interval = rate->interval / times };

	if (allowance.interval < 1)
		allowance.interval = 1;
	else if (allowance.interval > LONGEST)
		allowance.interval = LONGEST;
	if (__builtin_mul_overflow(allowance.interval, rate->burst * times - 1, &allowance.ahead) ||
	    allowance.ahead > LONGEST)
		allowance.ahead = LONGEST;
	return allowance;
}

/* Hashes the two prefixes of an address. The kinds differ in size, which is hashed too; the wider
 * prefix of an own network differs by a bit, since a part of it may be no own network. */
static void hash_prefixes(const struct hash_key *key, const struct address *peer, bool own,
			  uint64_t *narrow, uint64_t *wider)
{
	const uint8_t *bytes = peer->ip6.sin6_addr.s6_addr;
	uint32_t ip4;

	if (address_ip4(peer, &ip4)) {
		ip4 = htonl(ip4);
		*narrow = hash_bytes(key, &ip4, 4);
		*wider = hash_bytes(key, &ip4, 3);
	} else {
		*narrow = hash_bytes(key, bytes, own ? 16 : 8);
		*wider = hash_bytes(key, bytes, own ? 8 : 6);
	}
	*wider ^= own;
}

/* The entry of a hash; if there is none, the entry of its set that expires first. */
static struct limiter_entry *find(const struct limiter *limiter, uint64_t hash)
{
	struct limiter_entry *set = limiter->entries + hash % SETS * WAYS, *oldest = set;

	for (struct limiter_entry *entry = set; entry < set + WAYS; entry++) {
		if (entry->hash == hash)
			return entry;
		if (entry->free_at < oldest->free_at)
			oldest = entry;
	}
	return oldest;
}

/* The theoretical arrival time of a hash, whose entry find returned: now or later. */
static int64_t free_at(struct limiter_entry *entry, uint64_t hash,
		       const struct allowance *allowance, int64_t now)
{
	int64_t latest = now + allowance->ahead + allowance->interval;

	if (entry->hash != hash || entry->free_at <= now)
		return now;
	if (entry->free_at > latest) /* the rate has changed */
		entry->free_at = latest;
	return entry->free_at;
}

bool limiter_admit(struct limiter *limiter, const struct limiter_rate *rate,
		   const struct address *peer, bool own, int64_t now)
{
	struct allowance narrow = allowance_of(rate, 1);
	struct allowance wider =
		own ? allowance_of(rate, LIMITER_OWN_WIDER) : allowance_of(rate, LIMITER_WIDER);
	struct limiter_entry *narrow_entry, *wider_entry;
	int64_t narrow_free_at, wider_free_at;
	uint64_t narrow_hash, wider_hash;

	if (rate->interval <= 0)
		return true;
	if (now < limiter->latest)
		now = limiter->latest;
	limiter->latest = now;
	hash_prefixes(&limiter->key, peer, own, &narrow_hash, &wider_hash);
	narrow_entry = find(limiter, narrow_hash);
	wider_entry = find(limiter, wider_hash);
	narrow_free_at = free_at(narrow_entry, narrow_hash, &narrow, now);
	wider_free_at = free_at(wider_entry, wider_hash, &wider, now);
	if (narrow_free_at - now > narrow.ahead || wider_free_at - now > wider.ahead)
		return false;
	narrow_entry->hash = narrow_hash;
	narrow_entry->free_at = narrow_free_at + narrow.interval;
	if (wider_entry == narrow_entry) /* the same, just overwritten */
		wider_entry = find(limiter, wider_hash);
	wider_entry->hash = wider_hash;
	wider_entry->free_at = wider_free_at + wider.interval;
	return true;
}
