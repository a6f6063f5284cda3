#include "stats/history.h"

#include <string.h>

void history_add(struct history *history, const struct history_sample *sample)
{
	uint32_t taken = atomic_load_explicit(&history->taken, memory_order_relaxed);
	_Atomic uint32_t *slot = history->samples[taken % HISTORY_SAMPLES];
	uint32_t words[HISTORY_WORDS];

	memcpy(words, sample, sizeof(words));
	for (size_t i = 0; i < HISTORY_WORDS; i++)
		atomic_store_explicit(&slot[i], words[i], memory_order_release);
	atomic_store_explicit(&history->taken, taken + 1, memory_order_release);
}

void history_clear(struct history *history)
{
	atomic_store_explicit(&history->taken, 0, memory_order_release);
}

static void read_one(const struct history *history, uint32_t number, struct history_sample *sample)
{
	const _Atomic uint32_t *slot = history->samples[number % HISTORY_SAMPLES];
	uint32_t words[HISTORY_WORDS];

	for (size_t i = 0; i < HISTORY_WORDS; i++)
		words[i] = atomic_load_explicit(&slot[i], memory_order_acquire);
	memcpy(sample, words, sizeof(words));
}

/* Leaves out the oldest slot: the next sample may be written there meanwhile. */
unsigned history_read(const struct history *history,
		      struct history_sample samples[static HISTORY_SAMPLES])
{
	uint32_t taken = atomic_load_explicit(&history->taken, memory_order_acquire);
	uint32_t count = taken < HISTORY_SAMPLES ? taken : HISTORY_SAMPLES - 1;

	for (uint32_t i = 0; i < count; i++)
		read_one(history, taken - count + i, &samples[i]);
	return count;
}
