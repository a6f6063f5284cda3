#include "base/limiter.h"

#include <string.h>
#include <sys/mman.h>

/* A prefix is remembered by its hash alone, and by one moment: when it will have nothing to pay for
 * any more (the theoretical arrival time of the generic cell rate algorithm, ITU-T I.371). Each
 * request puts that off by an interval; one is refused where it is further away than a burst less
 * one allows. An entry whose moment has come is as good as empty. */
struct limiter_entry {
	uint64_t hash;
	int64_t free_at;
};

_Static_assert(sizeof(struct limiter_entry) * LIMITER_PREFIXES == LIMITER_SIZE, "as promised");

/* A hash has its place in one set of entries: two lines of cache that processors fetch together. */
#define WAYS 8
#define SETS (LIMITER_PREFIXES / WAYS)

/* No sum of a moment and two of these overflows. */
#define LONGEST (INT64_MAX / 4)

/* A rate as an entry is held to it. */
struct allowance {
	int64_t interval;
	int64_t ahead; /* how far free_at may be from now for a request to be within the rate */
};

bool limiter_open(struct limiter *limiter)
{
	/* Not from the heap: that would have to clear memory that it has had before. */
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

/* The rate of a prefix that may have times as much. */
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

/* Hashes the two prefixes of an address. Their four kinds differ in size, and the hash knows the
 * size, so a prefix is never taken for one of another kind. */
static void hash_prefixes(const struct hash_key *key, const struct address *peer, uint64_t *narrow,
			  uint64_t *wider)
{
	const uint8_t *bytes = peer->ip6.sin6_addr.s6_addr;
	uint32_t ip4;

	if (address_ip4(peer, &ip4)) {
		ip4 = htonl(ip4);
		*narrow = hash_bytes(key, &ip4, 4);
		*wider = hash_bytes(key, &ip4, 3);
	} else {
		*narrow = hash_bytes(key, bytes, 8);
		*wider = hash_bytes(key, bytes, 6);
	}
}

/* The entry of a hash; if it has none, the one of its set that is nearest to being forgotten. */
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

/* When the prefix of a hash, for which find found entry, has paid for everything: now or later. */
static int64_t free_at(struct limiter_entry *entry, uint64_t hash,
		       const struct allowance *allowance, int64_t now)
{
	int64_t latest = now + allowance->ahead + allowance->interval;

	if (entry->hash != hash || entry->free_at <= now)
		return now;
	if (entry->free_at > latest) /* the rate was another one then */
		entry->free_at = latest;
	return entry->free_at;
}

bool limiter_admit(struct limiter *limiter, const struct limiter_rate *rate,
		   const struct address *peer, int64_t now)
{
	struct allowance narrow = allowance_of(rate, 1), wider = allowance_of(rate, LIMITER_WIDER);
	struct limiter_entry *narrow_entry, *wider_entry;
	int64_t narrow_free_at, wider_free_at;
	uint64_t narrow_hash, wider_hash;

	if (rate->interval <= 0)
		return true;
	if (now < limiter->latest)
		now = limiter->latest;
	limiter->latest = now;
	hash_prefixes(&limiter->key, peer, &narrow_hash, &wider_hash);
	narrow_entry = find(limiter, narrow_hash);
	wider_entry = find(limiter, wider_hash);
	narrow_free_at = free_at(narrow_entry, narrow_hash, &narrow, now);
	wider_free_at = free_at(wider_entry, wider_hash, &wider, now);
	if (narrow_free_at - now > narrow.ahead || wider_free_at - now > wider.ahead)
		return false;
	narrow_entry->hash = narrow_hash;
	narrow_entry->free_at = narrow_free_at + narrow.interval;
	if (wider_entry == narrow_entry) /* of one set, and just taken */
		wider_entry = find(limiter, wider_hash);
	wider_entry->hash = wider_hash;
	wider_entry->free_at = wider_free_at + wider.interval;
	return true;
}
