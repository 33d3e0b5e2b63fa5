/*
 * Distributions of sizes: of keys, of values, and of lifetimes. Set up once as 4096 equally likely sizes (quantiles), so
 * that the size of an item is one load, and always the same for the same item.
 *
 *     "32"         always
 *     "16-64"      uniform, ends included
 *     "etc"        Facebook's ETC pool (Atikoglu et al., SIGMETRICS 2012, section 5): keys generalized extreme value,
 *                  values a table up to 14 bytes and generalized Pareto above
 *     "usr"        Facebook's USR pool (the same): keys of 16 and 21 bytes, values of 2
 *     "twitter"    like Twitter's clusters (Yang et al., OSDI 2020): log-normal around the medians that they publish,
 *                  38 bytes for keys and 230 for values
 */
#ifndef WIRECACHE_LOAD_SIZES_H
#define WIRECACHE_LOAD_SIZES_H

#include <stdbool.h>
#include <stdint.h>

#define SIZES_QUANTILES 4096u

enum sizes_of { SIZES_OF_KEYS, SIZES_OF_VALUES };

struct sizes {
	uint32_t min, max;
	double mean;
	uint32_t quantiles[SIZES_QUANTILES];
};

/* Sizes are bounded to low..high. False: text is none of the above, or no size of it lies within the bounds. */
bool sizes_init(struct sizes *sizes, enum sizes_of of, const char *text, uint32_t low, uint32_t high);

/* hash: any 12 good bits. */
static inline uint32_t
sizes_pick(const struct sizes *sizes, uint64_t hash)
{
	return sizes->quantiles[hash % SIZES_QUANTILES];
}

#endif
