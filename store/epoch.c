/*
 * The rare half of epoch.h: going online and offline, and the scan over all threads.
 */
#include "store/epoch.h"

void
epoch_online(struct store_thread *thread)
{
	uint64_t now = atomic_load_explicit(&thread->store->epoch, memory_order_acquire);

	/*
	 * A scan may miss this thread just while it comes online. The exchange and the second load are
	 * seq_cst: either the scan sees the thread, or this load sees the epoch that the scanner has raised
	 * before, with its unlinks.
	 */
	for (;;) {
		atomic_exchange_explicit(&thread->seen_epoch, now, memory_order_seq_cst);
		uint64_t again = atomic_load_explicit(&thread->store->epoch, memory_order_seq_cst);
		if (again == now)
			return;
		now = again;
	}
}

void
epoch_offline(struct store_thread *thread)
{
	atomic_store_explicit(&thread->seen_epoch, 0, memory_order_release); /* pairs with epoch_safe() */
}

uint64_t
epoch_safe(const struct store *store, const struct store_thread *self)
{
	uint64_t safe = atomic_load_explicit(&store->epoch, memory_order_seq_cst);

	for (uint32_t i = 0; i < store->threads_max; i++) {
		/* seq_cst: see epoch_online(); it is an acquire of what the thread did before it quiesced,
		 * too */
		uint64_t seen = atomic_load_explicit(&store->threads[i].seen_epoch, memory_order_seq_cst);
		if (seen && seen < safe && &store->threads[i] != self)
			safe = seen;
	}
	return safe;
}
