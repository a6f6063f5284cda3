/* A keyed hash: SipHash-2-4. Whoever does not know the key cannot choose input that collides. */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

struct hash_key {
	uint64_t low, high;
};

/* A key that nobody knows, from the kernel's random numbers, without ever waiting for them: where
 * it has none yet, from what it gave this program at its start. */
struct hash_key hash_key_make(void);

/* The hash of size bytes, which may be none. The size is part of what is hashed: bytes followed by
 * zeros have another one. The same on every machine. */
uint64_t hash_bytes(const struct hash_key *key, const void *bytes, size_t size);

#endif
