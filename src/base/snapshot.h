/* A message that one thread writes again and again, and that any other reads whole, without a lock:
 * another process too, in memory that it has for reading only. There is always a whole message: a
 * new one is written beside the last, so that nobody ever waits for the writer, not even for one
 * that was killed halfway. */
#ifndef BASE_SNAPSHOT_H
#define BASE_SNAPSHOT_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

/* How many words a message of so many bytes takes, and how many there are to be for two of them. */
#define SNAPSHOT_WORDS(bytes) (((bytes) + 7) / 8)
#define SNAPSHOT_SLOTS(bytes) (2 * SNAPSHOT_WORDS(bytes))

/* Publishes a message of size bytes; sequence and slots were zero at first. For one thread
 * only. */
void snapshot_publish(atomic_uint *sequence, _Atomic uint64_t *slots, const void *message,
		      size_t size);

/* Reads what was published last, or zeros if nothing was. */
void snapshot_read(const atomic_uint *sequence, const _Atomic uint64_t *slots, void *message,
		   size_t size);

#endif
