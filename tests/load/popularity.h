/*
 * Which key is asked for: uniform, by Zipf's law, or a hot spot, with a drift of the popular ones through the key space.
 *
 * Ranks (0 the most popular) are drawn by the alias method over at most 65536 bins: one random number, one table line.
 * The first 32768 ranks have a bin each; above, bins grow with their rank (by less than 0.06 % of it for a billion
 * keys), and ranks within a bin are equally likely. The table is 1 MiB at most, whatever the number of keys.
 *
 * Set up by the main thread, then only read; position and random numbers are the caller's.
 */
#ifndef WIRECACHE_LOAD_POPULARITY_H
#define WIRECACHE_LOAD_POPULARITY_H

#include <stdbool.h>
#include <stdint.h>

#include "tests/load/rng.h"

#define POPULARITY_SINGLE_RANKS 32768u
#define POPULARITY_BINS_MAX     65536u

enum popularity_kind { POPULARITY_UNIFORM, POPULARITY_ZIPF, POPULARITY_HOTSPOT };

struct popularity_bin {
	uint32_t keep; /* of 2^32: how often this bin stands for itself and not for its alias */
	uint32_t alias;
	uint32_t first; /* rank */
	uint32_t width;
};

struct popularity {
	uint32_t keys;
	uint32_t bins_len;
	struct popularity_bin *bins;
};

struct popularity_config {
	enum popularity_kind kind;
	uint32_t keys;
	double zipf;      /* exponent, >= 0; 0 is uniform */
	double hot_keys;  /* share of the keys that are hot, 0 to 1 */
	double hot_share; /* share of the requests that go to them, 0 to 1 */
};

/* False when memory is short. */
bool popularity_init(struct popularity *popularity, const struct popularity_config *config);
void popularity_free(struct popularity *popularity);

/* How likely this rank is; for tests. */
double popularity_chance(const struct popularity *popularity, uint32_t rank);

static inline uint32_t
popularity_rank(const struct popularity *popularity, struct load_rng *rng)
{
	uint64_t random = load_rng_next(rng);
	uint32_t at = (uint32_t)(((random >> 32) * popularity->bins_len) >> 32);
	const struct popularity_bin *bin = &popularity->bins[at];

	if ((uint32_t)random >= bin->keep)
		bin = &popularity->bins[bin->alias];
	return bin->width == 1 ? bin->first : bin->first + (uint32_t)load_rng_below(rng, bin->width);
}

/* shift: by how many keys the ranks have drifted, below `keys`. */
static inline uint32_t
popularity_key(const struct popularity *popularity, struct load_rng *rng, uint32_t shift)
{
	uint64_t key = (uint64_t)popularity_rank(popularity, rng) + shift;

	return (uint32_t)(key >= popularity->keys ? key - popularity->keys : key);
}

#endif
