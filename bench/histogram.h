/*
 * A histogram of nanoseconds: 32 steps per octave (3 %), up to 34 s. Shared by the BPF program and
 * the programs in user space; the BPF verifier needs the mask on the index.
 */
#ifndef BENCH_HISTOGRAM_H
#define BENCH_HISTOGRAM_H

#include <linux/types.h>

#define HISTOGRAM_STEP_BITS 5
#define HISTOGRAM_SIZE	    1024

static inline __u32 histogram_index(__u64 nanoseconds)
{
	__u64 rest = nanoseconds;
	__u32 octave = 0;

	/* Bisection: BPF has no instruction that counts leading zeros. */
	for (__u32 bits = 32; bits > 0; bits /= 2) {
		if (rest >> bits) {
			rest >>= bits;
			octave += bits;
		}
	}
	if (octave < HISTOGRAM_STEP_BITS)
		return (__u32)nanoseconds;
	octave -= HISTOGRAM_STEP_BITS;
	rest = (nanoseconds >> octave) & ((1U << HISTOGRAM_STEP_BITS) - 1);
	return (((octave + 1) << HISTOGRAM_STEP_BITS) + (__u32)rest) & (HISTOGRAM_SIZE - 1);
}

/* The lower bound, in nanoseconds, of the values counted at index. */
static inline __u64 histogram_value(__u32 index)
{
	__u32 octave = index >> HISTOGRAM_STEP_BITS;
	__u32 step = index & ((1U << HISTOGRAM_STEP_BITS) - 1);

	if (octave == 0)
		return step;
	return (__u64)(step + (1U << HISTOGRAM_STEP_BITS)) << (octave - 1);
}

/* A quantile, in thousandths, of all values; 0 if there are none. */
static inline __u64 histogram_quantile(const __u64 *counts, __u64 thousandths)
{
	__u64 total = 0;
	__u64 seen = 0;

	for (__u32 i = 0; i < HISTOGRAM_SIZE; i++)
		total += counts[i];
	for (__u32 i = 0; i < HISTOGRAM_SIZE; i++) {
		seen += counts[i];
		if (total > 0 && seen * 1000 >= total * thousandths)
			return histogram_value(i);
	}
	return 0;
}

#endif
