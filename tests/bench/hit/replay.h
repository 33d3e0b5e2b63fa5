/*
 * Who may be asked to replay a trace, and what is counted: every get, and of them those that missed. Replay is
 * read-through: a get that misses is followed by a set with the size and time to live of its row.
 */
#ifndef WIRECACHE_BENCH_HIT_REPLAY_H
#define WIRECACHE_BENCH_HIT_REPLAY_H

#include <stddef.h>

#include "tests/bench/hit/trace.h"

struct hit_count {
	uint64_t gets, misses;
	uint64_t bytes, missed_bytes; /* keys and values of those */
	uint64_t items;               /* kept at the end; 0 where nobody counted */
};

static inline void
count_get(struct hit_count *count, const struct trace *trace, const struct row *row, int hit)
{
	uint64_t bytes = row_bytes(trace, row);

	count->gets++;
	count->bytes += bytes;
	if (!hit) {
		count->misses++;
		count->missed_bytes += bytes;
	}
}

/* Replays a whole trace through a cache of memory_bytes. */
typedef void replay_fn(const struct trace *trace, size_t memory_bytes, struct hit_count *count);

replay_fn replay_wirecache; /* the real serve layer and store, in virtual time */
replay_fn replay_memcached; /* Debian's, in a process of its own, its clock set by the trace */
replay_fn
    replay_memcached_real_clock; /* the same with the machine's clock: nothing expires within a replay */
replay_fn replay_lru, replay_s3fifo, replay_belady;

/* The simulators' items: what an item costs beside its key and value. */
#define ITEM_OVERHEAD_BYTES 50u

#endif
