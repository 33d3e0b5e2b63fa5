/*
 * Time of the load generator: the TSC, which costs a few cycles to read, and its rate, measured once at start against
 * CLOCK_MONOTONIC. Any thread; the rate is passed by value and never changes.
 */
#ifndef WIRECACHE_LOAD_CLOCK_H
#define WIRECACHE_LOAD_CLOCK_H

#include <stddef.h>
#include <stdint.h>
#include <x86intrin.h>

struct load_clock {
	double tsc_hz;
	uint64_t ns_per_tsc_q32; /* fixed point, 32 fractional bits */
};

/* What tells the time instead of the TSC, in tests whose time is virtual; NULL otherwise. Set before any thread starts. */
extern uint64_t (*load_clock_virtual)(void);

/* Takes 50 ms. The error is the clock's reads, about 100 ns: 2 parts in a million. */
struct load_clock load_clock_measure(void);

static inline uint64_t
load_now_tsc(void)
{
	return __builtin_expect(load_clock_virtual != NULL, 0) ? load_clock_virtual() : __rdtsc();
}

static inline uint64_t
load_tsc_to_ns(const struct load_clock *clock, uint64_t tsc)
{
	return (uint64_t)(((unsigned __int128)tsc * clock->ns_per_tsc_q32) >> 32);
}

static inline uint64_t
load_seconds_to_tsc(const struct load_clock *clock, double seconds)
{
	return (uint64_t)(seconds * clock->tsc_hz);
}

#endif
