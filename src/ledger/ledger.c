#include "ledger/ledger.h"

void ledger_sum(const struct ledger *ledger, struct tally *sum)
{
	unsigned count = atomic_load_explicit(&ledger->worker_count, memory_order_acquire);

	for (unsigned i = 0; i < count && i < LEDGER_WORKERS; i++)
		tally_add(sum, &ledger->workers[i].tally);
}
