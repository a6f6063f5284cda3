#include "base/hash.h"

#include <endian.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/random.h>
#include <time.h>

/* SipHash: a fast short-input PRF, by J.-P. Aumasson and D. J. Bernstein; the names are theirs. */
struct state {
	uint64_t v0, v1, v2, v3;
};

static inline uint64_t rotate(uint64_t value, unsigned bits)
{
	return value << bits | value >> (64 - bits);
}

static inline void mix(struct state *s)
{
	s->v0 += s->v1;
	s->v2 += s->v3;
	s->v1 = rotate(s->v1, 13) ^ s->v0;
	s->v3 = rotate(s->v3, 16) ^ s->v2;
	s->v0 = rotate(s->v0, 32);
	s->v2 += s->v1;
	s->v0 += s->v3;
	s->v1 = rotate(s->v1, 17) ^ s->v2;
	s->v3 = rotate(s->v3, 21) ^ s->v0;
	s->v2 = rotate(s->v2, 32);
}

static inline void take_in(struct state *s, uint64_t word)
{
	s->v3 ^= word;
	mix(s);
	mix(s);
	s->v0 ^= word;
}

uint64_t hash_bytes(const struct hash_key *key, const void *bytes, size_t size)
{
	struct state s = {
		.v0 = key->low ^ 0x736f6d6570736575U,
		.v1 = key->high ^ 0x646f72616e646f6dU,
		.v2 = key->low ^ 0x6c7967656e657261U,
		.v3 = key->high ^ 0x7465646279746573U,
	};
	const uint8_t *next = bytes;
	uint64_t word, last = (uint64_t)size << 56;

	for (size_t left = size / 8; left > 0; left--, next += 8) {
		memcpy(&word, next, 8);
		take_in(&s, le64toh(word));
	}
	for (size_t i = 0; i < size % 8; i++)
		last |= (uint64_t)next[i] << (8 * i);
	take_in(&s, last);
	s.v2 ^= 0xff;
	for (int i = 0; i < 4; i++)
		mix(&s);
	return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}

/* AT_RANDOM, 16 random bytes from the kernel, is constant and also seeds the stack protector. So it
 * is only the key of a hash of the time, which reveals nothing of it. */
static struct hash_key make_without_getrandom(void)
{
	const void *given = (const void *)getauxval(AT_RANDOM);
	struct hash_key start = { 0 }, key;
	struct {
		struct timespec time;
		uintptr_t address;
	} mark = { .address = (uintptr_t)&start };

	if (given)
		memcpy(&start, given, sizeof(start));
	clock_gettime(CLOCK_MONOTONIC, &mark.time);
	key.low = hash_bytes(&start, &mark, sizeof(mark));
	clock_gettime(CLOCK_MONOTONIC, &mark.time);
	mark.address = ~mark.address;
	key.high = hash_bytes(&start, &mark, sizeof(mark));
	return key;
}

/* getrandom(2) would block early at boot, and so would the start of the daemon. */
struct hash_key hash_key_make(void)
{
	struct hash_key key;

	if (getrandom(&key, sizeof(key), GRND_NONBLOCK) == (ssize_t)sizeof(key))
		return key;
	return make_without_getrandom();
}
