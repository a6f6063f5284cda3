#include "base/snapshot.h"

#include <string.h>

/* Values are copied by words; the last word may be partial. */

static uint64_t word_at(const void *value, size_t size, size_t i)
{
	const char *bytes = (const char *)value + 8 * i;
	uint64_t word = 0;

	if (size - 8 * i >= 8)
		memcpy(&word, bytes, 8);
	else
		memcpy(&word, bytes, size - 8 * i);
	return word;
}

static void put_word(void *value, size_t size, size_t i, uint64_t word)
{
	char *bytes = (char *)value + 8 * i;

	if (size - 8 * i >= 8)
		memcpy(bytes, &word, 8);
	else
		memcpy(bytes, &word, size - 8 * i);
}

/* Words are ordered by release and acquire, not by fences, which ThreadSanitizer does not support:
 * a reader that sees a word of the value after the next also sees the sequence changed. */
void snapshot_publish(atomic_uint *sequence, _Atomic uint64_t *slots, const void *value,
		      size_t size)
{
	unsigned next = atomic_load_explicit(sequence, memory_order_relaxed) + 1;
	size_t words = SNAPSHOT_WORDS(size);
	_Atomic uint64_t *slot = &slots[next % 2 * words];

	for (size_t i = 0; i < words; i++)
		atomic_store_explicit(&slot[i], word_at(value, size, i), memory_order_release);
	atomic_store_explicit(sequence, next, memory_order_release);
}

/* Repeats if a value was published meanwhile: the next one is written over what is being read. */
void snapshot_read(const atomic_uint *sequence, const _Atomic uint64_t *slots, void *value,
		   size_t size)
{
	unsigned before, after = atomic_load_explicit(sequence, memory_order_acquire);
	size_t words = SNAPSHOT_WORDS(size);

	do {
		const _Atomic uint64_t *slot = &slots[after % 2 * words];

		before = after;
		for (size_t i = 0; i < words; i++)
			put_word(value, size, i,
				 atomic_load_explicit(&slot[i], memory_order_acquire));
		after = atomic_load_explicit(sequence, memory_order_acquire);
	} while (after != before);
}
