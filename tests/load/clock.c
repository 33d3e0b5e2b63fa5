/*
 * Measures the TSC's rate, see clock.h.
 */
#include "tests/load/clock.h"

#include <time.h>

#define MEASURE_NS 50000000ull

uint64_t (*load_clock_virtual)(void);

static uint64_t
monotonic_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000ull + (uint64_t)now.tv_nsec;
}

struct load_clock
load_clock_measure(void)
{
	struct load_clock clock;
	uint64_t begin_ns = monotonic_ns(), begin_tsc = load_now_tsc();
	uint64_t end_ns, end_tsc;

	do {
		end_ns = monotonic_ns();
		end_tsc = load_now_tsc();
	} while (end_ns - begin_ns < MEASURE_NS);
	clock.tsc_hz = (double)(end_tsc - begin_tsc) * 1e9 / (double)(end_ns - begin_ns);
	clock.ns_per_tsc_q32 = (uint64_t)(4294967296.0 * 1e9 / clock.tsc_hz);
	return clock;
}
