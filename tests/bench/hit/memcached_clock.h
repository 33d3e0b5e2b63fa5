/*
 * Names the file in which memcached_clock.so finds the time: 8 bytes, seconds.
 */
#ifndef WIRECACHE_BENCH_HIT_MEMCACHED_CLOCK_H
#define WIRECACHE_BENCH_HIT_MEMCACHED_CLOCK_H

#define MEMCACHED_CLOCK_ENV "HIT_REPLAY_CLOCK"

#endif
