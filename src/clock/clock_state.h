/* The clock state: how far the system clock can be trusted, and by which source. The part of an NTP
 * reply that is the same for all peers. The clock monitor publishes it; any thread reads it,
 * without a lock. */
#ifndef CLOCK_CLOCK_STATE_H
#define CLOCK_CLOCK_STATE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/timex.h>

#include "base/snapshot.h"
#include "clock/clock.h"

/* MAXDISP in RFC 5905: the root dispersion of an unsynchronised clock. */
#define CLOCK_DISPERSION_MAX (16 * CLOCK_SHORT_SECOND)

enum clock_leap {
	CLOCK_LEAP_NONE = 0,
	CLOCK_LEAP_INSERT = 1,	/* the last minute of the UTC day has 61 seconds */
	CLOCK_LEAP_DELETE = 2,	/* it has 59 */
	CLOCK_LEAP_UNKNOWN = 3, /* the clock is not synchronised */
};

/* A reference identifier of four bytes. */
#define CLOCK_REFERENCE(a, b, c, d) \
	((uint32_t)(a) << 24 | (uint32_t)(b) << 16 | (uint32_t)(c) << 8 | (uint32_t)(d))

/* Why a clock is not synchronised: kiss codes (RFC 5905 section 7.4). */
#define CLOCK_REFERENCE_INIT CLOCK_REFERENCE('I', 'N', 'I', 'T') /* not yet */
#define CLOCK_REFERENCE_STEP CLOCK_REFERENCE('S', 'T', 'E', 'P') /* the clock was set */

struct clock_state {
	uint8_t leap;	 /* enum clock_leap */
	uint8_t stratum; /* 1 to 15; 0 if leap is CLOCK_LEAP_UNKNOWN */
	uint32_t reference_id;
	clock_ntp_time reference_time; /* when the clock was last set or corrected */
	clock_ntp_short root_delay;
	clock_ntp_short root_dispersion; /* at measured; it grows from there */
	uint32_t drift_ppm;		 /* its growth in microseconds a second */
	int64_t measured;		 /* nanoseconds on the monotonic clock */
};

/* The published state; zero-initialised: unsynchronised. */
struct clock_state_snapshot {
	atomic_uint sequence;
	_Atomic uint64_t slots[SNAPSHOT_SLOTS(sizeof(struct clock_state))];
};

/* Publishes state; for one thread only. */
void clock_state_publish(struct clock_state_snapshot *snapshot, const struct clock_state *state);

/* Reads the published state with its root_dispersion at now, on the monotonic clock: rounded up,
 * and UINT32_MAX at most (18 hours). A time before measured counts as measured. */
void clock_state_read(const struct clock_state_snapshot *snapshot, int64_t now,
		      struct clock_state *state);

/* The root dispersion of state at now, as clock_state_read has it. */
clock_ntp_short clock_state_root_dispersion(const struct clock_state *state, int64_t now);

/* The root distance: half of the root delay, rounded up, and the root dispersion (RFC 5905 section
 * 11.1); UINT32_MAX at most. */
clock_ntp_short clock_state_root_distance(const struct clock_state *state);

/* MAXDIST in RFC 5905: a clock with this root distance is not to be used. */
#define CLOCK_DISTANCE_MAX CLOCK_SHORT_SECOND

static inline bool clock_state_is_synchronised(const struct clock_state *state)
{
	return state->leap != CLOCK_LEAP_UNKNOWN;
}

/* The state of an unsynchronised clock; reason is one of CLOCK_REFERENCE_*. */
void clock_state_unsynchronised(struct clock_state *state, uint32_t reason);

/* The reference identifier of this host's own clock, as ntpd has it. */
#define CLOCK_REFERENCE_LOCAL CLOCK_REFERENCE(127, 127, 1, 1)

/* Forgets the leap second of a state once its UTC day has ended: it has passed. realtime is now on
 * the system clock, in nanoseconds since 1970, and monotonic on the other. */
void clock_state_end_leap(struct clock_state *state, int64_t realtime, int64_t monotonic);

/* PHI in RFC 5905: the frequency error that is assumed of a clock, in ppm. */
#define CLOCK_DRIFT_PPM 15

/* "clock local": the system clock is taken as right, at a configured stratum. now is on the system
 * clock. The reference time is the last multiple of 64 s, and the dispersion grows from there;
 * publish a new state now and then, or it grows on. */
void clock_state_local(struct clock_state *state, uint8_t stratum, clock_ntp_time now,
		       int64_t monotonic);

/* "clock system": what adjtimex(2) filled in and returned. The kernel knows no stratum:
 * CLOCK_SYSTEM_STRATUM is above those of real servers and below the 10 of a local clock. The root
 * dispersion is maxerror, and grows at the kernel's rate. An inserted leap second repeats a second:
 * unsynchronised. The kernel does not know when the clock was last corrected: reference_time is
 * now, and the caller, who has seen earlier readings, corrects it. */
#define CLOCK_SYSTEM_STRATUM 8
#define CLOCK_KERNEL_PPM     500
void clock_state_from_kernel(struct clock_state *state, const struct timex *kernel, int result,
			     clock_ntp_time now, int64_t monotonic);

#endif
