/*
 * Time of a worker: one TSC read a loop gives microseconds for timers and Unix seconds for expiry.
 *
 * The TSC is scaled by a multiplication. Unix time is the start's wall clock plus what has passed since, as
 * memcached keeps it: a wall clock that is set later moves no expiry.
 */
#ifndef WIRECACHE_CLOCK_H
#define WIRECACHE_CLOCK_H

#include <stdint.h>
#include <rte_cycles.h>

struct clock {
	uint64_t base_tsc;
	uint64_t us_per_tsc_q32; /* fixed point, 32 fractional bits */
	uint64_t tsc;            /* of the last read */
	uint64_t now_us;         /* since base_tsc */
	uint64_t next_second_us;
	uint32_t unix_s;
};

/* base_tsc and base_unix_s are common to all workers, so that all agree on the second. */
static inline void
clock_init(struct clock *clock, uint64_t base_tsc, uint64_t tsc_hz, uint32_t base_unix_s)
{
	clock->base_tsc = base_tsc;
	clock->us_per_tsc_q32 = (uint64_t)(((__uint128_t)1000000 << 32) / tsc_hz);
	clock->tsc = base_tsc;
	clock->now_us = 0;
	clock->next_second_us = 1000000;
	clock->unix_s = base_unix_s;
}

static inline void
clock_read(struct clock *clock)
{
	clock->tsc = rte_rdtsc();
	clock->now_us =
	    (uint64_t)(((__uint128_t)(clock->tsc - clock->base_tsc) * clock->us_per_tsc_q32) >> 32);
	while (clock->now_us >= clock->next_second_us) {
		clock->next_second_us += 1000000;
		clock->unix_s++;
	}
}

#endif
