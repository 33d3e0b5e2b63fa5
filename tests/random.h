/*
 * Random numbers of tests, simulation and benchmarks: SplitMix64, whose sequence follows from `state` alone, any seed.
 */
#ifndef WIRECACHE_TESTS_RANDOM_H
#define WIRECACHE_TESTS_RANDOM_H

#include <stdint.h>

static inline uint64_t
random_next(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

/* 0 <= result < below. */
static inline uint32_t
random_below(uint64_t *state, uint32_t below)
{
	return (uint32_t)((random_next(state) >> 32) * below >> 32);
}

#endif
