/*
 * flush_all: a moment of the counter of sequences (life.h), now or when a time comes. Purging is left to background
 * work, which finds whole segments that were sealed before the flush.
 */
#include "store/flush.h"

static void
flush_now(struct store *store)
{
	/* While it is held nobody draws a sequence above this flush that it does not know of: see life.h. */
	spin_lock(&store->sequence_lock);
	/* Generation first: a segment that holds a later item must not look sealed before the flush. */
	atomic_fetch_add_explicit(&store->flush_generation, 1, memory_order_relaxed);
	/* release pairs with flush_latest() */
	atomic_store_explicit(&store->flush_sequence, store->sequence - 1, memory_order_release);
	spin_unlock(&store->sequence_lock);
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
