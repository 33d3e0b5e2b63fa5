/*
 * flush_all: a moment of the counter of sequences (life.h), now or when a time comes. Purging is left to background
 * work, which finds whole segments that were sealed before the flush.
 */
#include "store/flush.h"

static void
flush_now(struct store *store)
{
	/* Every store that was answered before drew its sequence before this. */
	uint64_t latest = atomic_load_explicit(&store->sequence, memory_order_acquire) - 1;
	uint64_t seen = atomic_load_explicit(&store->flush_sequence, memory_order_relaxed);

	/* Generation first: a segment that holds a later item must not look sealed before the flush. */
	atomic_fetch_add_explicit(&store->flush_generation, 1, memory_order_relaxed);
	/* release pairs with sequence_next() and item_life() */
	while (seen < latest && !atomic_compare_exchange_weak_explicit(&store->flush_sequence, &seen, latest,
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
	bool now = at_s <= thread->now_s;

	/* As in memcached there is one deadline: a new flush replaces one that has not come yet. */
	atomic_store_explicit(&thread->store->flush_at_s, now ? UINT32_MAX : at_s, memory_order_release);
	/* By this thread itself: if another took the deadline from it, this could answer before that one is done. */
	if (now)
		flush_now(thread->store);
}
