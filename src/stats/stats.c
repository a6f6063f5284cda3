#include "stats/stats.h"

unsigned ledger_workers(const struct ledger *ledger)
{
	unsigned count = atomic_load_explicit(&ledger->worker_count, memory_order_acquire);

	return count < LEDGER_WORKERS ? count : LEDGER_WORKERS;
}

void ledger_sum(const struct ledger *ledger, const struct web_tally *web, struct tally *sum)
{
	unsigned count = ledger_workers(ledger);

	for (unsigned i = 0; i < count; i++)
		tally_add(sum, &ledger->workers[i].tally);
	for (size_t i = 0; i < PROTOCOL_COUNT; i++) {
		if (protocol_table[i].reply)
			continue;
		counter_add(&sum->requests[i], web_tally_requests(web));
		counter_add(&sum->answers[i], web_tally_requests(web));
	}
}
