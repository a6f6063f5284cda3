#include "clock/clock_state.h"

/* The reference time of a local clock is a multiple of this. */
#define LOCAL_INTERVAL UINT64_C(64) /* seconds, a power of two */

/* Nanoseconds, at most 65536 s, rounded up. */
static clock_ntp_short short_from_nanoseconds(uint64_t nanoseconds)
{
	uint64_t second = (uint64_t)CLOCK_SECOND;
	uint64_t units = (nanoseconds * CLOCK_SHORT_SECOND + second - 1) / second;

	return units > UINT32_MAX ? UINT32_MAX : (clock_ntp_short)units;
}

/* The error after age nanoseconds of a clock whose frequency is off by ppm at most. */
static clock_ntp_short growth(int64_t age, uint32_t ppm)
{
	const uint64_t most = UINT64_C(65536) * (uint64_t)CLOCK_SECOND * 1000;
	uint64_t microseconds = age > 0 ? ((uint64_t)age + 999) / 1000 : 0;

	if (ppm == 0 || microseconds == 0)
		return 0;
	if (microseconds > most / ppm)
		return UINT32_MAX;
	return short_from_nanoseconds((microseconds * ppm + 999) / 1000);
}

void clock_state_publish(struct clock_state_snapshot *snapshot, const struct clock_state *state)
{
	snapshot_publish(&snapshot->sequence, snapshot->slots, state, sizeof(*state));
}

/* All zeros: nothing was published yet, since no state has both leap and stratum 0. */
void clock_state_read(const struct clock_state_snapshot *snapshot, int64_t now,
		      struct clock_state *state)
{
	snapshot_read(&snapshot->sequence, snapshot->slots, state, sizeof(*state));
	if (state->leap == 0 && state->stratum == 0) {
		clock_state_unsynchronised(state, CLOCK_REFERENCE_INIT);
		return;
	}
	state->root_dispersion = clock_state_root_dispersion(state, now);
}

clock_ntp_short clock_state_root_dispersion(const struct clock_state *state, int64_t now)
{
	return now <= state->measured ?
		       state->root_dispersion :
		       clock_short_add(state->root_dispersion,
				       growth(now - state->measured, state->drift_ppm));
}

clock_ntp_short clock_state_root_distance(const struct clock_state *state)
{
	return clock_short_add(state->root_delay / 2 + (state->root_delay & 1),
			       state->root_dispersion);
}

void clock_state_unsynchronised(struct clock_state *state, uint32_t reason)
{
	*state = (struct clock_state){
		.leap = CLOCK_LEAP_UNKNOWN,
		.reference_id = reason,
		.root_dispersion = CLOCK_DISPERSION_MAX,
	};
}

void clock_state_local(struct clock_state *state, uint8_t stratum, clock_ntp_time now,
		       int64_t monotonic)
{
	clock_ntp_time reference = now & ~((LOCAL_INTERVAL << 32) - 1);
	int64_t age = clock_span_from_ntp((clock_ntp_span)(now - reference));

	*state = (struct clock_state){
		.leap = CLOCK_LEAP_NONE,
		.stratum = stratum,
		.reference_id = CLOCK_REFERENCE_LOCAL,
		.reference_time = reference,
		.root_dispersion = 1 + growth(age, CLOCK_DRIFT_PPM), /* 1: 15 microseconds */
		.drift_ppm = CLOCK_DRIFT_PPM,
		.measured = monotonic,
	};
}

void clock_state_end_leap(struct clock_state *state, int64_t realtime, int64_t monotonic)
{
	const int64_t day = CLOCK_DAY * CLOCK_SECOND;
	int64_t measured = realtime - (monotonic - state->measured);

	if (clock_state_is_synchronised(state) && measured / day != realtime / day)
		state->leap = CLOCK_LEAP_NONE;
}

/* Microseconds; the kernel says 16 s when it is unsynchronised. */
#define KERNEL_ERROR_MAX 16000000

void clock_state_from_kernel(struct clock_state *state, const struct timex *kernel, int result,
			     clock_ntp_time now, int64_t monotonic)
{
	if (result == TIME_OOP) {
		clock_state_unsynchronised(state, CLOCK_REFERENCE_STEP);
		return;
	}
	if (result < 0 || result == TIME_ERROR || (kernel->status & STA_UNSYNC) ||
	    kernel->maxerror < 0 || kernel->maxerror >= KERNEL_ERROR_MAX) {
		clock_state_unsynchronised(state, CLOCK_REFERENCE_INIT);
		return;
	}
	*state = (struct clock_state){
		.leap = result == TIME_INS ? CLOCK_LEAP_INSERT :
			result == TIME_DEL ? CLOCK_LEAP_DELETE :
					     CLOCK_LEAP_NONE,
		.stratum = CLOCK_SYSTEM_STRATUM,
		.reference_id = CLOCK_REFERENCE_LOCAL,
		.reference_time = now,
		.root_dispersion = short_from_nanoseconds((uint64_t)kernel->maxerror * 1000),
		.drift_ppm = CLOCK_KERNEL_PPM,
		.measured = monotonic,
	};
}
