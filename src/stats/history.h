/* The last hour: how much was asked and dropped, and what the clock was, every ten seconds. One
 * thread writes it, any may read it. */
#ifndef STATS_HISTORY_H
#define STATS_HISTORY_H

#include <stdatomic.h>
#include <stdint.h>

#include "clock/clock_state.h"
#include "protocol/protocol.h"

#define HISTORY_SAMPLES	 360
#define HISTORY_INTERVAL (10 * CLOCK_SECOND)

/* How far the clock could be trusted. */
enum history_clock {
	HISTORY_UNSYNCHRONISED,
	HISTORY_SYNCHRONISED,
};

struct history_sample {
	uint32_t requests[PROTOCOL_COUNT]; /* in that interval */
	uint32_t drops;
	uint32_t clock; /* enum history_clock, at its end */
};

#define HISTORY_WORDS (sizeof(struct history_sample) / sizeof(uint32_t))

struct history {
	_Atomic uint32_t taken; /* so many samples, of which the last ones are kept */
	_Atomic uint32_t samples[HISTORY_SAMPLES][HISTORY_WORDS];
};

/* Adds a sample; the oldest makes way. For one thread only. */
void history_add(struct history *history, const struct history_sample *sample);

/* Forgets all. */
void history_clear(struct history *history);

/* Copies what there is, the oldest first. Returns how many. */
unsigned history_read(const struct history *history,
		      struct history_sample samples[static HISTORY_SAMPLES]);

#endif
