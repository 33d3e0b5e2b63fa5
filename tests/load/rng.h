/*
 * Random numbers for choosing keys and operations: a counter through one 128-bit multiplication, about 2 ns, good enough
 * for load and the same for the same seed. And the fixed mixing from which sizes and contents of items follow.
 */
#ifndef WIRECACHE_LOAD_RNG_H
#define WIRECACHE_LOAD_RNG_H

#include <stdint.h>

struct load_rng {
	uint64_t state;
};

/* A bijection of 64 bits in which every output bit depends on every input bit (the finisher of Stafford's Mix13). */
static inline uint64_t
load_mix(uint64_t value)
{
	value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9ull;
	value = (value ^ (value >> 27)) * 0x94d049bb133111ebull;
	return value ^ (value >> 31);
}

static inline void
load_rng_seed(struct load_rng *rng, uint64_t seed)
{
	rng->state = load_mix(seed + 0x9e3779b97f4a7c15ull);
}

static inline uint64_t
load_rng_next(struct load_rng *rng)
{
	rng->state += 0x9e3779b97f4a7c15ull;
	unsigned __int128 product = (unsigned __int128)rng->state * (rng->state ^ 0xe7037ed1a0b428dbull);
	return (uint64_t)(product >> 64) ^ (uint64_t)product;
}

/* 0 <= result < bound. */
static inline uint64_t
load_rng_below(struct load_rng *rng, uint64_t bound)
{
	return (uint64_t)(((unsigned __int128)load_rng_next(rng) * bound) >> 64);
}

/* 0 < result < 1, for setting up tables. */
static inline double
load_rng_unit(struct load_rng *rng)
{
	return ((double)(load_rng_next(rng) >> 12) + 0.5) / 4503599627370496.0;
}

#endif
