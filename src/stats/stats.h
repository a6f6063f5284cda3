/* What the daemon knows of itself: memory that it writes and that its web process reads, where
 * numbers are counted up in place and everything else is a snapshot. Nothing in it is a pointer. */
#ifndef STATS_STATS_H
#define STATS_STATS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/address.h"
#include "base/snapshot.h"
#include "clock/clock_state.h"
#include "stats/counters.h"
#include "stats/history.h"
#include "stats/top_clients.h"
#include "stats/web_counters.h"

#define LEDGER_WORKERS	 256
#define LEDGER_LISTENS	 32
#define LEDGER_TEXT_SIZE 96

/* What stays as it is until the configuration changes. */
struct ledger_facts {
	int64_t started;       /* on the monotonic clock */
	int64_t started_clock; /* on the system clock, seconds since 1970 */
	uint32_t process, user;
	uint32_t workers;
	uint32_t capacity;		 /* connections at a time */
	uint32_t show_clients;		 /* to whoever looks at the status page */
	uint32_t clock_watched;		 /* or else nothing is known of it */
	uint32_t upgraded;		 /* has taken the place of a daemon that ran */
	char confined[LEDGER_TEXT_SIZE]; /* "capabilities, new privileges" */
	char source[LEDGER_TEXT_SIZE]; /* of the clock: "system", "local", "follow 192.0.2.1:123" */
	uint32_t listen_count;	       /* of which the first LEDGER_LISTENS are told */
	struct {
		uint32_t protocol; /* its row */
		char address[ADDRESS_TEXT_SIZE];
	} listens[LEDGER_LISTENS];
};

/* Why the clock is not synchronised, in words; empty if it is. */
struct ledger_reason {
	char text[2 * LEDGER_TEXT_SIZE];
};

/* A worker's own, on cache lines of its own. */
struct ledger_worker {
	_Alignas(64) struct tally tally;
};

struct ledger {
	struct clock_state_snapshot clock;
	atomic_uint facts_sequence, reason_sequence, talkers_sequence;
	_Atomic uint64_t facts[SNAPSHOT_SLOTS(sizeof(struct ledger_facts))];
	_Atomic uint64_t reason[SNAPSHOT_SLOTS(sizeof(struct ledger_reason))];
	_Atomic uint64_t talkers[SNAPSHOT_SLOTS(sizeof(struct talkers_list))];
	struct counter web_starts,
		web_deaths; /* of the web process; deaths that nobody asked for */
	struct history history;
	atomic_uint worker_count; /* of those below, so many have ever been used */
	struct ledger_worker workers[LEDGER_WORKERS];
};

static inline void ledger_publish_facts(struct ledger *ledger, const struct ledger_facts *facts)
{
	snapshot_publish(&ledger->facts_sequence, ledger->facts, facts, sizeof(*facts));
}

static inline void ledger_read_facts(const struct ledger *ledger, struct ledger_facts *facts)
{
	snapshot_read(&ledger->facts_sequence, ledger->facts, facts, sizeof(*facts));
}

static inline void ledger_publish_reason(struct ledger *ledger, const struct ledger_reason *reason)
{
	snapshot_publish(&ledger->reason_sequence, ledger->reason, reason, sizeof(*reason));
}

static inline void ledger_read_reason(const struct ledger *ledger, struct ledger_reason *reason)
{
	snapshot_read(&ledger->reason_sequence, ledger->reason, reason, sizeof(*reason));
}

static inline void ledger_publish_talkers(struct ledger *ledger, const struct talkers_list *list)
{
	snapshot_publish(&ledger->talkers_sequence, ledger->talkers, list, sizeof(*list));
}

static inline void ledger_read_talkers(const struct ledger *ledger, struct talkers_list *list)
{
	snapshot_read(&ledger->talkers_sequence, ledger->talkers, list, sizeof(*list));
}

/* Adds up what all workers have counted, and the requests that the web process has answered. */
void ledger_sum(const struct ledger *ledger, const struct web_tally *web, struct tally *sum);

/* How many workers have a place with what they have counted. */
unsigned ledger_workers(const struct ledger *ledger);

#endif
