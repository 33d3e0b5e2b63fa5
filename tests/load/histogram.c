/*
 * Reading a histogram: percentiles, moments, and HdrHistogram's text. See histogram.h.
 */
#include "tests/load/histogram.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#define HGRM_TICKS_PER_HALF 5u /* lines until the distance to 100 % has halved, as HdrHistogram's default */

void
histogram_reset(struct histogram *histogram)
{
	memset(histogram, 0, sizeof(*histogram));
	histogram->min = UINT64_MAX;
}

void
histogram_merge(struct histogram *into, const struct histogram *from)
{
	for (uint32_t slot = 0; slot < HISTOGRAM_SLOTS; slot++)
		into->counts[slot] += from->counts[slot];
	into->total += from->total;
	into->sum += from->sum;
	if (from->min < into->min)
		into->min = from->min;
	if (from->max > into->max)
		into->max = from->max;
}

static uint64_t
slot_bottom(uint32_t slot)
{
	if (slot < (2u << HISTOGRAM_SUB_BITS))
		return slot;
	uint32_t shift = (slot >> HISTOGRAM_SUB_BITS) - 1;
	uint64_t mantissa = slot - (shift << HISTOGRAM_SUB_BITS);
	return mantissa << shift;
}

uint64_t
histogram_slot_top(uint32_t slot)
{
	return slot_bottom(slot + 1) - 1;
}

uint64_t
histogram_percentile(const struct histogram *histogram, double percentile)
{
	uint64_t seen = 0;
	double wanted = ceil(percentile / 100.0 * (double)histogram->total - 1e-6);

	for (uint32_t slot = 0; slot < HISTOGRAM_SLOTS; slot++) {
		seen += histogram->counts[slot];
		if (histogram->counts[slot] != 0 && (double)seen >= wanted) {
			uint64_t top = histogram_slot_top(slot);
			return top < histogram->max && slot != HISTOGRAM_SLOTS - 1 ? top : histogram->max;
		}
	}
	return 0;
}

double
histogram_mean(const struct histogram *histogram)
{
	return histogram->total != 0 ? histogram->sum / (double)histogram->total : 0.0;
}

double
histogram_deviation(const struct histogram *histogram)
{
	double mean = histogram_mean(histogram), squares = 0.0;

	for (uint32_t slot = 0; slot < HISTOGRAM_SLOTS; slot++) {
		if (histogram->counts[slot] == 0)
			continue;
		double middle = ((double)slot_bottom(slot) + (double)histogram_slot_top(slot)) / 2.0;
		squares += (middle - mean) * (middle - mean) * (double)histogram->counts[slot];
	}
	return histogram->total != 0 ? sqrt(squares / (double)histogram->total) : 0.0;
}

static void
write_hgrm_line(const struct histogram *histogram, FILE *out, double value_unit, double percentile)
{
	uint64_t value = histogram_percentile(histogram, percentile), count = 0;

	for (uint32_t slot = 0; slot <= histogram_slot(value); slot++)
		count += histogram->counts[slot];
	double share = percentile / 100.0;
	fprintf(out, "%12.3f %2.12f %10" PRIu64, (double)value / value_unit, share, count);
	if (share < 1.0)
		fprintf(out, " %14.2f", 1.0 / (1.0 - share));
	fputc('\n', out);
}

void
histogram_write_hgrm(const struct histogram *histogram, FILE *out, double value_unit)
{
	double left = 1.0;

	fprintf(out, "%12s %14s %10s %14s\n\n", "Value", "Percentile", "TotalCount", "1/(1-Percentile)");
	for (unsigned tick = 0; left * (double)histogram->total >= 1.0; tick++) {
		write_hgrm_line(histogram, out, value_unit, (1.0 - left) * 100.0);
		left -= pow(0.5, (double)(tick / HGRM_TICKS_PER_HALF) + 1.0) / HGRM_TICKS_PER_HALF;
	}
	write_hgrm_line(histogram, out, value_unit, 100.0);
	fprintf(out, "#[Mean    = %12.3f, StdDeviation   = %12.3f]\n", histogram_mean(histogram) / value_unit,
	    histogram_deviation(histogram) / value_unit);
	fprintf(out, "#[Max     = %12.3f, Total count    = %12" PRIu64 "]\n",
	    (double)histogram->max / value_unit, histogram->total);
	fprintf(out, "#[Buckets = %12u, SubBuckets     = %12u]\n", HISTOGRAM_TOP_BITS - HISTOGRAM_SUB_BITS,
	    2u << HISTOGRAM_SUB_BITS);
}
