/* A keyed hash, SipHash-2-4: without the key, nobody can choose input that collides. */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

struct hash_key {
	uint64_t low, high;
};

/* A secret key from the kernel's random numbers, a different one each time. Never blocks: before
 * the kernel has any, the key comes from AT_RANDOM and the clock. */
struct hash_key hash_key_make(void);

/* The hash of size bytes, 0 or more. The size is hashed too. The same on every machine. */
uint64_t hash_bytes(const struct hash_key *key, const void *bytes, size_t size);

#endif
