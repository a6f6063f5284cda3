/* A counter that any thread may read. */
#ifndef BASE_COUNTER_H
#define BASE_COUNTER_H

#include <stdatomic.h>
#include <stdint.h>

struct counter {
	_Atomic uint64_t value;
};

/* For the only thread that writes it: needs no locked instruction. */
static inline void counter_add(struct counter *counter, uint64_t number)
{
	uint64_t value = atomic_load_explicit(&counter->value, memory_order_relaxed);

	atomic_store_explicit(&counter->value, value + number, memory_order_relaxed);
}

/* For a counter that several threads write. */
static inline void counter_add_shared(struct counter *counter, uint64_t number)
{
	atomic_fetch_add_explicit(&counter->value, number, memory_order_relaxed);
}

/* For a gauge. */
static inline void counter_set(struct counter *counter, uint64_t number)
{
	atomic_store_explicit(&counter->value, number, memory_order_relaxed);
}

static inline uint64_t counter_read(const struct counter *counter)
{
	return atomic_load_explicit(&counter->value, memory_order_relaxed);
}

#endif
