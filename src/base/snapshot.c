#include "base/snapshot.h"

#include <string.h>

/* A word at a time; the last one may be needed only in part. */

static uint64_t word_at(const void *message, size_t size, size_t i)
{
	const char *bytes = (const char *)message + 8 * i;
	uint64_t word = 0;

	if (size - 8 * i >= 8)
		memcpy(&word, bytes, 8);
	else
		memcpy(&word, bytes, size - 8 * i);
	return word;
}

static void put_word(void *message, size_t size, size_t i, uint64_t word)
{
	char *bytes = (char *)message + 8 * i;

	if (size - 8 * i >= 8)
		memcpy(bytes, &word, 8);
	else
		memcpy(bytes, &word, size - 8 * i);
}

/* Both ends order their words by release and acquire, not by fences, which ThreadSanitizer does not
 * understand: whoever reads a word of the message after the next finds the sequence moved on. */
void snapshot_publish(atomic_uint *sequence, _Atomic uint64_t *slots, const void *message,
		      size_t size)
{
	unsigned next = atomic_load_explicit(sequence, memory_order_relaxed) + 1;
	size_t words = SNAPSHOT_WORDS(size);
	_Atomic uint64_t *slot = &slots[next % 2 * words];

	for (size_t i = 0; i < words; i++)
		atomic_store_explicit(&slot[i], word_at(message, size, i), memory_order_release);
	atomic_store_explicit(sequence, next, memory_order_release);
}

/* Goes round again if something was published meanwhile: the message after it may be going where we
 * are reading. */
void snapshot_read(const atomic_uint *sequence, const _Atomic uint64_t *slots, void *message,
		   size_t size)
{
	unsigned before, after = atomic_load_explicit(sequence, memory_order_acquire);
	size_t words = SNAPSHOT_WORDS(size);

	do {
		const _Atomic uint64_t *slot = &slots[after % 2 * words];

		before = after;
		for (size_t i = 0; i < words; i++)
			put_word(message, size, i,
				 atomic_load_explicit(&slot[i], memory_order_acquire));
		after = atomic_load_explicit(sequence, memory_order_acquire);
	} while (after != before);
}
