/* A keyed hash: SipHash-2-4. Whoever does not know the key cannot choose input that collides. */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

struct hash_key {
	uint64_t low, high;
};

/* A key that nobody knows, from the kernel's random numbers. */
struct hash_key hash_key_make(void);

uint64_t hash_bytes(const struct hash_key *key, const void *bytes, size_t size);

#endif
