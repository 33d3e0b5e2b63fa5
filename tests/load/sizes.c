/*
 * The quantiles of each distribution of sizes.h, by inverting its distribution function.
 */
#include "tests/load/sizes.h"

#include <math.h>
#include <string.h>

#include "tests/load/parse.h"

/* Value sizes 0 to 14 of ETC and how often they occur: table 5 of the paper. */
static const double etc_small_values[] = {0.00536, 0.00047, 0.17820, 0.09239, 0.00018, 0.02740, 0.00065,
    0.00606, 0.00023, 0.00837, 0.00837, 0.08989, 0.00092, 0.00326, 0.01980};

#define ETC_SMALL_LEN (sizeof(etc_small_values) / sizeof(etc_small_values[0]))

/* share: 0 < share < 1, the part of all keys that is not longer. */
static double
etc_key(double share)
{
	const double location = 30.7984, scale = 8.20449, shape = 0.078688;

	return location + scale / shape * (pow(-log(share), -shape) - 1.0);
}

static double
etc_value(double share)
{
	const double scale = 214.476, shape = 0.348238;

	for (unsigned size = 0; size < ETC_SMALL_LEN; size++) {
		if (share < etc_small_values[size])
			return (double)size;
		share -= etc_small_values[size];
	}
	double small = 0.0;
	for (unsigned size = 0; size < ETC_SMALL_LEN; size++)
		small += etc_small_values[size];
	return (double)ETC_SMALL_LEN + scale / shape * (pow(1.0 - share / (1.0 - small), -shape) - 1.0);
}

static double
usr_key(double share)
{
	return share < 0.5 ? 16.0 : 21.0;
}

static double
usr_value(double share)
{
	(void)share;
	return 2.0;
}

/* The normal distribution's quantile by bisection of its distribution function: exact enough, and set up once. */
static double
normal_quantile(double share)
{
	double low = -8.0, high = 8.0;

	for (unsigned step = 0; step < 60; step++) {
		double middle = (low + high) / 2.0;
		if (0.5 * erfc(-middle / sqrt(2.0)) < share)
			low = middle;
		else
			high = middle;
	}
	return low;
}

static double
twitter_key(double share)
{
	return 38.0 * exp(0.4 * normal_quantile(share));
}

static double
twitter_value(double share)
{
	return 230.0 * exp(1.3 * normal_quantile(share));
}

static const struct {
	const char *name;
	double (*quantile[2])(double share); /* by enum sizes_of */
} named[] = {
    {"etc", {etc_key, etc_value}},
    {"usr", {usr_key, usr_value}},
    {"twitter", {twitter_key, twitter_value}},
};

static void
set(struct sizes *sizes, uint32_t index, double size, uint32_t low, uint32_t high)
{
	uint32_t whole = size <= low ? low : size >= high ? high : (uint32_t)lround(size);

	sizes->quantiles[index] = whole;
	sizes->mean += (double)whole / SIZES_QUANTILES;
	if (whole < sizes->min)
		sizes->min = whole;
	if (whole > sizes->max)
		sizes->max = whole;
}

bool
sizes_init(struct sizes *sizes, enum sizes_of of, const char *text, uint32_t low, uint32_t high)
{
	uint64_t first, last;

	*sizes = (struct sizes){.min = UINT32_MAX};
	for (unsigned i = 0; i < sizeof(named) / sizeof(named[0]); i++) {
		if (strcmp(text, named[i].name) != 0)
			continue;
		for (uint32_t q = 0; q < SIZES_QUANTILES; q++)
			set(sizes, q, named[i].quantile[of]((q + 0.5) / SIZES_QUANTILES), low, high);
		return true;
	}
	if (!parse_range(text, 1024, &first, &last) || first < low || last > high)
		return false;
	for (uint32_t q = 0; q < SIZES_QUANTILES; q++) {
		double share = (q + 0.5) / SIZES_QUANTILES;
		set(sizes, q, floor((double)first + share * (double)(last - first + 1)), low, high);
	}
	return true;
}
