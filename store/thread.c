/*
 * Handles of threads: registering, time and quiescent points.
 */
#include "store/alloc.h"
#include "store/epoch.h"
#include "store/evict.h"
#include "store/fill.h"
#include "store/flush.h"
#include "store/restart.h"
#include "store/segment.h"

#include <stdlib.h>

static bool
thread_make_arrays(struct store_thread *thread)
{
	const struct store *store = thread->store;

	for (unsigned p = 0; p < store->partitions_len; p++) {
		const struct partition *part = &store->partitions[p];
		if (!thread->open[p])
			thread->open[p] = calloc(OPENS, sizeof(*thread->open[p]));
		_Atomic uint32_t *pins = atomic_load_explicit(&thread->pins[p], memory_order_relaxed);
		if (!pins)
			pins = calloc(part->segments_len, sizeof(*pins));
		/* release pairs with segment_pinned() */
		atomic_store_explicit(&thread->pins[p], pins, memory_order_release);
		if (!thread->open[p] || !pins)
			return false;
		for (unsigned i = 0; i < OPENS; i++)
			thread->open[p][i] =
			    (struct open_segment){.tail = segment_bytes(part), .segment = SEGMENT_NONE};
	}
	return true;
}

struct store_thread *
store_thread_register(struct store *store, int node)
{
	for (uint32_t i = 0; i < store->threads_max; i++) {
		struct store_thread *thread = &store->threads[i];
		/* acquire pairs with the release in store_thread_unregister() */
		if (atomic_exchange_explicit(&thread->taken, 1, memory_order_acquire))
			continue;
		if (store->restart)
			restart_begin(store);
		if (!thread_make_arrays(thread)) {
			atomic_store_explicit(&thread->taken, 0, memory_order_release);
			return NULL;
		}
		thread->node = node;
		atomic_fetch_add_explicit(&store->registered, 1, memory_order_relaxed);
		segment_hold_nothing(thread);
		alloc_shape(thread);
		epoch_online(thread);
		return thread;
	}
	return NULL;
}

void
store_thread_unregister(struct store_thread *thread)
{
	struct store *store = thread->store;

	evict_finish(thread);
	alloc_close(thread);
	fill_pool_free(thread);
	epoch_offline(thread);
	atomic_fetch_sub_explicit(&store->registered, 1, memory_order_relaxed);
	atomic_store_explicit(&thread->taken, 0, memory_order_release);
}

/* Once a second. */
static __attribute__((noinline)) void
time_passes(struct store_thread *thread, uint32_t now_s)
{
	const struct store *store = thread->store;

	thread->now_s = now_s;
	thread->now_expiry = now_s > store->base_s ? now_s - store->base_s : 1;
	flush_when_due(thread->store, now_s);
	alloc_shape(thread);
	alloc_seal_expired(thread);
}

void
store_quiesce(struct store_thread *thread, uint32_t now_s)
{
	segment_hold_nothing(thread);
	if (atomic_load_explicit(&thread->seen_epoch, memory_order_relaxed) == 0)
		epoch_online(thread);
	else
		epoch_quiesce(thread);
	if (now_s != thread->now_s)
		time_passes(thread, now_s);
}

void
store_offline(struct store_thread *thread)
{
	segment_hold_nothing(thread);
	epoch_offline(thread);
}
