/*
 * Grace periods by quiescent states (QSBR): when may memory that left the index be used again?
 *
 *   writer                               reader
 *   unlink from the bucket (release)
 *   retired = ++epoch                    ... may still use the item ...
 *                                        quiesce: seen = epoch   (now past every unlink before that epoch)
 *   reuse when every seen is 0 or >= retired
 *
 * A thread that is offline has seen 0 and holds up nobody. Any thread.
 */
#ifndef WIRECACHE_STORE_EPOCH_H
#define WIRECACHE_STORE_EPOCH_H

#include "store/internal.h"

/* Everything unlinked before this call is safe once epoch_safe() has reached the result. */
static inline uint64_t
epoch_retire(struct store *store)
{
	/* seq_cst: the unlink comes before it, the scan in epoch_safe() after it; pairs with
	 * epoch_online(). */
	return atomic_fetch_add_explicit(&store->epoch, 1, memory_order_seq_cst) + 1;
}

/* The thread is online and uses nothing that it read before. */
static inline void
epoch_quiesce(struct store_thread *thread)
{
	/* acquire pairs with epoch_retire(): who sees the new epoch sees the unlinks before it. */
	uint64_t now = atomic_load_explicit(&thread->store->epoch, memory_order_acquire);
	/* release pairs with epoch_safe(): this thread's reads come before the reuse. */
	if (atomic_load_explicit(&thread->seen_epoch, memory_order_relaxed) != now)
		atomic_store_explicit(&thread->seen_epoch, now, memory_order_release);
}

void epoch_online(struct store_thread *thread);
void epoch_offline(struct store_thread *thread);

/*
 * The epoch that all threads online have seen, `self` left out: what a thread itself holds it knows better,
 * see segment_reclaim().
 */
uint64_t epoch_safe(const struct store *store, const struct store_thread *self);

#endif
