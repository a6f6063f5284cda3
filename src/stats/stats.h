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

#define STATS_WORKERS	256
#define STATS_LISTENS	32
#define STATS_TEXT_SIZE 96

/* What stays as it is until the configuration changes. */
struct stats_info {
	int64_t started;       /* on the monotonic clock */
	int64_t started_clock; /* on the system clock, seconds since 1970 */
	uint32_t process, user;
	uint32_t workers;
	uint32_t capacity;		/* connections at a time */
	uint32_t show_clients;		/* to whoever looks at the status page */
	uint32_t clock_watched;		/* or else nothing is known of it */
	uint32_t upgraded;		/* has taken the place of a daemon that ran */
	char confined[STATS_TEXT_SIZE]; /* "capabilities, new privileges" */
	char source[STATS_TEXT_SIZE]; /* of the clock: "system", "local", "follow 192.0.2.1:123" */
	uint32_t listen_count;	      /* of which the first STATS_LISTENS are told */
	struct {
		uint32_t protocol; /* its row */
		char address[ADDRESS_TEXT_SIZE];
	} listens[STATS_LISTENS];
};

/* Why the clock is not synchronised, in words; empty if it is. */
struct stats_reason {
	char text[2 * STATS_TEXT_SIZE];
};

/* A worker's own, on cache lines of its own. */
struct stats_worker {
	_Alignas(64) struct counters counters;
};

struct stats {
	struct clock_state_snapshot clock;
	atomic_uint info_sequence, reason_sequence, top_clients_sequence;
	_Atomic uint64_t info[SNAPSHOT_SLOTS(sizeof(struct stats_info))];
	_Atomic uint64_t reason[SNAPSHOT_SLOTS(sizeof(struct stats_reason))];
	_Atomic uint64_t top_clients[SNAPSHOT_SLOTS(sizeof(struct top_clients_list))];
	struct counter web_starts,
		web_crashes; /* of the web process; deaths that nobody asked for */
	struct history history;
	atomic_uint worker_count; /* of those below, so many have ever been used */
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

/* Adds up what all workers have counted, and the requests that the web process has answered. */
void stats_sum(const struct stats *stats, const struct web_counters *web, struct counters *sum);

/* How many workers have a place with what they have counted. */
unsigned stats_workers(const struct stats *stats);

#endif
