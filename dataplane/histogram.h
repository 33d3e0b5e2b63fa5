/*
 * Log-linear histograms of nanoseconds: each doubling is cut into 16 buckets of equal width, so that a bucket is at
 * most a sixteenth (6.25 %) of its values wide, from 1 ns to 17 s. The buckets are the same everywhere, so histograms of
 * workers, of appliances and of moments can be added and subtracted.
 *
 *   ns      0..15        16..31        32..63 in steps of 2   64..127 in steps of 4   ...
 *   bucket  0..15        16..31        32..47                 48..63                  ...
 *
 * Threads: these are computations only.
 */
#ifndef WIRECACHE_HISTOGRAM_H
#define WIRECACHE_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_STEPS_LOG2 4u /* buckets a doubling */
#define HISTOGRAM_STEPS      (1u << HISTOGRAM_STEPS_LOG2)
#define HISTOGRAM_DOUBLINGS  34u /* what is longer than 2^34 ns is counted in the last bucket */
#define HISTOGRAM_BUCKETS    ((HISTOGRAM_DOUBLINGS - HISTOGRAM_STEPS_LOG2 + 1) * HISTOGRAM_STEPS)

static inline unsigned
histogram_bucket(uint64_t ns)
{
	unsigned shift;

	if (ns < HISTOGRAM_STEPS)
		return (unsigned)ns;
	if (__builtin_expect(ns >> HISTOGRAM_DOUBLINGS != 0, 0))
		return HISTOGRAM_BUCKETS - 1;
	shift = 63u - (unsigned)__builtin_clzll(ns) - HISTOGRAM_STEPS_LOG2;
	return (shift << HISTOGRAM_STEPS_LOG2) + (unsigned)(ns >> shift);
}

/* The least value that a bucket counts; of HISTOGRAM_BUCKETS, the bound of the last. */
static inline uint64_t
histogram_floor_ns(unsigned bucket)
{
	unsigned shift = bucket >> HISTOGRAM_STEPS_LOG2;

	if (shift == 0)
		return bucket;
	return (uint64_t)(HISTOGRAM_STEPS + (bucket & (HISTOGRAM_STEPS - 1))) << (shift - 1);
}

/* The value below which `part` (0..1) of what was counted lies: the middle of its bucket, 0 of nothing. */
static inline uint64_t
histogram_percentile_ns(const uint64_t counts[HISTOGRAM_BUCKETS], double part)
{
	uint64_t total = 0, sum = 0;
	double wanted;

	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
		total += counts[i];
	wanted = part * (double)total;
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
		sum += counts[i];
		if (sum != 0 && (double)sum >= wanted)
			return (histogram_floor_ns(i) + histogram_floor_ns(i + 1)) / 2;
	}
	return 0;
}

#endif
