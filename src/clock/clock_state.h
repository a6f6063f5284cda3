/* What is known of the system clock: how far it can be trusted, and on whose word. The part of an
 * NTP reply that is the same for everyone.
 *
 * One thread, the clock monitor, publishes a state; any thread reads it, without a lock and without ever
 * seeing half of one. */
#ifndef CLOCK_CLOCK_STATE_H
#define CLOCK_CLOCK_STATE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/timex.h>

#include "base/snapshot.h"
#include "clock/clock.h"

/* As large as a root dispersion gets before the clock counts as not synchronised, and what is told
 * for one that is not: MAXDISP in RFC 5905. */
#define CLOCK_DISPERSION_MAX (16 * CLOCK_SHORT_SECOND)

enum clock_leap {
	CLOCK_LEAP_NONE = 0,
	CLOCK_LEAP_INSERT = 1,	/* the last minute of this UTC day has 61 seconds */
	CLOCK_LEAP_DELETE = 2,	/* it has 59 */
	CLOCK_LEAP_UNKNOWN = 3, /* the clock is not synchronised */
};

/* Four letters as a reference identifier, for where there is no server to name. */
#define CLOCK_REFERENCE(a, b, c, d) \
	((uint32_t)(a) << 24 | (uint32_t)(b) << 16 | (uint32_t)(c) << 8 | (uint32_t)(d))

/* Why a clock is not synchronised, as kiss codes (RFC 5905 section 7.4). */
#define CLOCK_REFERENCE_INIT CLOCK_REFERENCE('I', 'N', 'I', 'T') /* it has not been yet */
#define CLOCK_REFERENCE_STEP CLOCK_REFERENCE('S', 'T', 'E', 'P') /* it was set a moment ago */

struct clock_state {
	uint8_t leap;	 /* enum clock_leap */
	uint8_t stratum; /* 1 to 15; 0 where leap is CLOCK_LEAP_UNKNOWN */
	uint32_t reference_id;
	clock_ntp_time reference_time; /* when the clock was last set or corrected */
	clock_ntp_short root_delay;
	clock_ntp_short root_dispersion; /* at measured, and growing since */
	uint32_t drift_ppm;		 /* by so many microseconds a second */
	int64_t measured;		 /* on the monotonic clock, nanoseconds */
};

/* Where the state is published, as a snapshot; zero-initialised it holds none: read as not
 * synchronised. */
struct clock_state_snapshot {
	atomic_uint sequence;
	_Atomic uint64_t slots[SNAPSHOT_SLOTS(sizeof(struct clock_state))];
};

/* Publishes state; for one thread only. */
void clock_state_publish(struct clock_state_snapshot *snapshot, const struct clock_state *state);

/* Reads what was published last, with root_dispersion grown to now, a time on the monotonic
 * clock; a time before measured counts as measured. It stays below the format's end (18 hours),
 * and is never less than the truth for the format's coarseness. */
void clock_state_read(const struct clock_state_snapshot *snapshot, int64_t now,
		      struct clock_state *state);

static inline bool clock_state_is_synchronised(const struct clock_state *state)
{
	return state->leap != CLOCK_LEAP_UNKNOWN;
}

/* The state of a clock that is not synchronised; reason is one of CLOCK_REFERENCE_*. Its root
 * dispersion is CLOCK_DISPERSION_MAX. */
void clock_state_unsynchronised(struct clock_state *state, uint32_t reason);

/* What stands for the clock of this host where no server can be named, as with ntpd. */
#define CLOCK_REFERENCE_LOCAL CLOCK_REFERENCE(127, 127, 1, 1)

/* How fast an unsteered clock is taken to go astray, in millionths: PHI in RFC 5905. */
#define CLOCK_DRIFT_PPM 15

/* "clock local": the system clock taken as right, at a stratum of the operator's choice. now is the
 * system clock's, monotonic the other's: its notional reference is the last multiple of 64 s, from
 * where its dispersion grows. To be asked for anew now and then, or it grows on. */
void clock_state_local(struct clock_state *state, uint8_t stratum, clock_ntp_time now,
		       int64_t monotonic);

/* "clock system": what the kernel says: its variables as ntp_adjtime(3) filled them in, and what
 * that returned. It does not know the stratum: CLOCK_SYSTEM_STRATUM stands for it, deeper than real
 * chains of servers are and before the 10 of a local clock. The root dispersion is its bound of the
 * error, and grows as the kernel lets that grow. During a leap second that is inserted the clock
 * tells the second before again: not synchronised then. Nor does it know when the clock was last
 * corrected: reference_time is now, and the caller, who sees more than one such reading, knows
 * better. */
#define CLOCK_SYSTEM_STRATUM 8
#define CLOCK_KERNEL_PPM     500
void clock_state_from_kernel(struct clock_state *state, const struct timex *kernel, int result,
			     clock_ntp_time now, int64_t monotonic);

#endif
