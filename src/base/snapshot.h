/* A value that one thread publishes and any other reads whole, without a lock; also another
 * process, in memory that is read-only for it. A sequence-count latch: the new value is written
 * beside the old one, so that no reader ever waits, not even for a writer that was killed
 * halfway. */
#ifndef BASE_SNAPSHOT_H
#define BASE_SNAPSHOT_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

/* The words of a value of this size, and those of its two copies. */
#define SNAPSHOT_WORDS(bytes) (((bytes) + 7) / 8)
#define SNAPSHOT_SLOTS(bytes) (2 * SNAPSHOT_WORDS(bytes))

/* Publishes a value of size bytes; sequence and slots start as zeros. For one thread only. */
void snapshot_publish(atomic_uint *sequence, _Atomic uint64_t *slots, const void *value,
		      size_t size);

/* Reads the last value, or zeros if there is none. */
void snapshot_read(const atomic_uint *sequence, const _Atomic uint64_t *slots, void *value,
		   size_t size);

#endif
