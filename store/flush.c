/*
 * flush_all: a moment of the Lamport clock (life.h), now or when a time comes. Purging is left to background
 * work, which finds whole segments that were sealed before the flush.
 */
#include "store/flush.h"

static void
flush_now(struct store *store)
{
	uint64_t latest = atomic_load_explicit(&store->flush_clock, memory_order_relaxed);

	/* Every store that was answered before has its clock here: its thread wrote it before it published.
	 */
	for (uint32_t i = 0; i < store->threads_max; i++) {
		uint64_t clock = atomic_load_explicit(&store->threads[i].clock, memory_order_acquire);
		if (clock > latest)
			latest = clock;
	}
	/* Generation first: a segment that holds a later item must not look sealed before the flush. */
	atomic_fetch_add_explicit(&store->flush_generation, 1, memory_order_relaxed);
	uint64_t seen = atomic_load_explicit(&store->flush_clock, memory_order_relaxed);
	/* release pairs with sequence_next() and item_life() */
	while (seen < latest && !atomic_compare_exchange_weak_explicit(&store->flush_clock, &seen, latest,
	                            memory_order_release, memory_order_relaxed))
		;
}

void
flush_when_due(struct store *store, uint32_t now_s)
{
	uint32_t at_s = atomic_load_explicit(&store->flush_at_s, memory_order_acquire);

	while (at_s <= now_s)
		if (atomic_compare_exchange_weak_explicit(
		        &store->flush_at_s, &at_s, UINT32_MAX, memory_order_acq_rel, memory_order_acquire)) {
			flush_now(store);
			return;
		}
}

void
store_flush_all(struct store_thread *thread, uint32_t at_s)
{
	/* As in memcached there is one deadline: a new flush replaces one that has not come yet. */
	atomic_store_explicit(&thread->store->flush_at_s, at_s, memory_order_release);
	flush_when_due(thread->store, thread->now_s);
}
