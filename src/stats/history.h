/* The history: requests, drops and the clock state of the last hour, a sample every ten seconds.
 * One thread writes, any may read. */
#ifndef STATS_HISTORY_H
#define STATS_HISTORY_H

#include <stdatomic.h>
#include <stdint.h>

#include "clock/clock_state.h"
#include "protocol/protocol.h"

#define HISTORY_SAMPLES	 360
#define HISTORY_INTERVAL (10 * CLOCK_SECOND)

struct history_sample {
	uint32_t requests[PROTOCOL_COUNT]; /* in its interval */
	uint32_t drops;
	uint32_t synchronised; /* the clock, at the end of the interval: 0 or 1 */
};

#define HISTORY_WORDS (sizeof(struct history_sample) / sizeof(uint32_t))

struct history {
	_Atomic uint32_t taken; /* samples ever added; the last HISTORY_SAMPLES are kept */
	_Atomic uint32_t samples[HISTORY_SAMPLES][HISTORY_WORDS];
};

/* Adds a sample in place of the oldest. For one thread only. */
void history_add(struct history *history, const struct history_sample *sample);

/* Removes all samples. */
void history_clear(struct history *history);

/* Copies the samples, oldest first. Returns their number, less than HISTORY_SAMPLES. */
unsigned history_read(const struct history *history,
		      struct history_sample samples[static HISTORY_SAMPLES]);

#endif
