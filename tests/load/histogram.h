/*
 * Counts latencies with a relative error below 1/1024 from 0 to 137 seconds: the layout of HdrHistogram with three
 * significant digits. Values below 2048 ns have a slot each; above, every power of two has 1024.
 *
 *     slot = value                                value < 2048
 *     slot = shift * 1024 + (value >> shift)      shift such that 1024 <= value >> shift < 2048
 *
 * One writer; merging and reading after the writer has stopped.
 */
#ifndef WIRECACHE_LOAD_HISTOGRAM_H
#define WIRECACHE_LOAD_HISTOGRAM_H

#include <stdint.h>
#include <stdio.h>

#define HISTOGRAM_SUB_BITS  10u
#define HISTOGRAM_TOP_BITS  37u /* larger values are counted as 2^37 - 1 */
#define HISTOGRAM_SLOTS     ((HISTOGRAM_TOP_BITS - HISTOGRAM_SUB_BITS + 1u) << HISTOGRAM_SUB_BITS)
#define HISTOGRAM_VALUE_MAX ((1ull << HISTOGRAM_TOP_BITS) - 1)

struct histogram {
	uint64_t total;
	uint64_t min, max; /* as recorded, not as slots; min is UINT64_MAX while empty */
	double sum;        /* of values as recorded */
	uint64_t counts[HISTOGRAM_SLOTS];
};

static inline uint32_t
histogram_slot(uint64_t value)
{
	if (value < (2ull << HISTOGRAM_SUB_BITS))
		return (uint32_t)value;
	if (value > HISTOGRAM_VALUE_MAX)
		value = HISTOGRAM_VALUE_MAX;
	uint32_t shift = 63u - (uint32_t)__builtin_clzll(value) - HISTOGRAM_SUB_BITS;
	return (shift << HISTOGRAM_SUB_BITS) + (uint32_t)(value >> shift);
}

static inline void
histogram_add(struct histogram *histogram, uint64_t value)
{
	histogram->counts[histogram_slot(value)]++;
	histogram->total++;
	histogram->sum += (double)value;
	if (value < histogram->min)
		histogram->min = value;
	if (value > histogram->max)
		histogram->max = value;
}

/* On zeroed or used memory. */
void histogram_reset(struct histogram *histogram);
void histogram_merge(struct histogram *into, const struct histogram *from);

/* The largest value that falls into the slot. */
uint64_t histogram_slot_top(uint32_t slot);

/* The smallest slot top that at least percentile % of the values do not exceed, at most the maximum. 0 when empty. */
uint64_t histogram_percentile(const struct histogram *histogram, double percentile);
double histogram_mean(const struct histogram *histogram);
double histogram_deviation(const struct histogram *histogram);

/* HdrHistogram's percentile text (.hgrm), values divided by value_unit; what its plotting tools read. */
void histogram_write_hgrm(const struct histogram *histogram, FILE *out, double value_unit);

#endif
