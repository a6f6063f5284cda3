/* The stats: memory that the daemon writes and its web process reads. Counters are counted up in
 * place, everything else is a snapshot. It has no pointers. */
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

#define STATS_WORKERS	256
#define STATS_LISTENS	32
#define STATS_TEXT_SIZE 96

/* Facts that change only with the configuration. */
struct stats_info {
	int64_t started;	/* nanoseconds of clock_boottime */
	uint64_t started_clock; /* on the system clock as it was then, seconds since 1970 */
	uint64_t process, user; /* their IDs */
	uint64_t workers;
	uint64_t connections_max;
	bool show_clients;		/* on the status page and in /status.json */
	bool clock_monitored;		/* if not, the clock state is not known */
	bool upgraded;			/* took over from a running daemon */
	char confined[STATS_TEXT_SIZE]; /* the sandbox: "capabilities, new privileges" */
	char source[STATS_TEXT_SIZE];	/* of the clock: "system", "follow 192.0.2.1:123" */
	uint32_t listen_count; /* of listens; more sockets than STATS_LISTENS are left out */
	struct {
		char protocol[PROTOCOL_WORD_SIZE];
		char address[ADDRESS_TEXT_SIZE];
	} listens[STATS_LISTENS];
};

/* Why the clock is not synchronised; empty if it is. */
struct stats_reason {
	char text[2 * STATS_TEXT_SIZE];
};

/* The counters of a worker, on cache lines of their own. */
struct stats_worker {
	_Alignas(64) struct counters counters;
};

struct stats {
	struct clock_state_snapshot clock;
	atomic_uint info_sequence, reason_sequence, top_clients_sequence;
	_Atomic uint64_t info[SNAPSHOT_SLOTS(sizeof(struct stats_info))];
	_Atomic uint64_t reason[SNAPSHOT_SLOTS(sizeof(struct stats_reason))];
	_Atomic uint64_t top_clients[SNAPSHOT_SLOTS(sizeof(struct top_clients_list))];
	struct counter web_starts, web_crashes; /* of the web process */
	struct history history;
	atomic_uint worker_count; /* of workers that have ever run */
	struct stats_worker workers[STATS_WORKERS];
};

static inline void stats_publish_info(struct stats *stats, const struct stats_info *info)
{
	snapshot_publish(&stats->info_sequence, stats->info, info, sizeof(*info));
}

static inline void stats_read_info(const struct stats *stats, struct stats_info *info)
{
	snapshot_read(&stats->info_sequence, stats->info, info, sizeof(*info));
}

static inline void stats_publish_reason(struct stats *stats, const struct stats_reason *reason)
{
	snapshot_publish(&stats->reason_sequence, stats->reason, reason, sizeof(*reason));
}

static inline void stats_read_reason(const struct stats *stats, struct stats_reason *reason)
{
	snapshot_read(&stats->reason_sequence, stats->reason, reason, sizeof(*reason));
}

static inline void stats_publish_top_clients(struct stats *stats,
					     const struct top_clients_list *list)
{
	snapshot_publish(&stats->top_clients_sequence, stats->top_clients, list, sizeof(*list));
}

static inline void stats_read_top_clients(const struct stats *stats, struct top_clients_list *list)
{
	snapshot_read(&stats->top_clients_sequence, stats->top_clients, list, sizeof(*list));
}

/* Adds the counters of all workers, and the requests and replies of the web process, to sum. */
void stats_sum(const struct stats *stats, const struct web_counters *web, struct counters *sum);

/* Number of workers with counters. */
unsigned stats_workers(const struct stats *stats);

#endif
