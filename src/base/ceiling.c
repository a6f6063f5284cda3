#include "base/ceiling.h"

#define SECOND INT64_C(1000000000)

uint32_t ceiling_take(struct ceiling *ceiling, uint32_t rate, int64_t now)
{
	int64_t interval = SECOND / rate, wanted = 1 + rate / 1024, available;
	int64_t free_at = atomic_load_explicit(&ceiling->free_at, memory_order_relaxed), from;

	do {
		from = free_at < now - SECOND ? now - SECOND : free_at;
		available = (now - from) / interval;
		if (available <= 0)
			return 0;
		if (available > wanted)
			available = wanted;
	} while (!atomic_compare_exchange_weak_explicit(&ceiling->free_at, &free_at,
							from + available * interval,
							memory_order_relaxed,
							memory_order_relaxed));
	return (uint32_t)available;
}
