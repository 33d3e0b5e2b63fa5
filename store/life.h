/*
 * Is an item alive? Expired by time, or flushed by flush_all, it is as good as absent but still in the index.
 *
 * A flush is a moment of the Lamport clock that CAS values are made of: items with a clock up to it are gone.
 * So an item set in the same second after flush_all survives, however coarse the clock of seconds is.
 */
#ifndef WIRECACHE_STORE_LIFE_H
#define WIRECACHE_STORE_LIFE_H

#include "store/internal.h"

/* A sequence is 42 bits of Lamport clock and the thread that made it. */
#define SEQUENCE_THREAD_BITS 6

enum item_life { ITEM_ALIVE, ITEM_EXPIRED, ITEM_FLUSHED };

static inline enum item_life
item_life(const struct store_thread *thread, const struct item *item, uint64_t meta)
{
	uint32_t expiry = item_expiry(item);

	if (expiry && expiry <= thread->now_expiry)
		return ITEM_EXPIRED;
	/* acquire pairs with flush_now() */
	if (meta_sequence(meta) >> SEQUENCE_THREAD_BITS <=
	    atomic_load_explicit(&thread->store->flush_clock, memory_order_acquire))
		return ITEM_FLUSHED;
	return ITEM_ALIVE;
}

/* A sequence above the old one's, above every flush and above all that this thread made before. */
static inline uint64_t
sequence_next(struct store_thread *thread, uint64_t old)
{
	uint64_t clock = atomic_load_explicit(&thread->clock, memory_order_relaxed);
	uint64_t flush = atomic_load_explicit(&thread->store->flush_clock, memory_order_acquire);

	if (clock < old >> SEQUENCE_THREAD_BITS)
		clock = old >> SEQUENCE_THREAD_BITS;
	if (clock < flush)
		clock = flush;
	clock++;
	atomic_store_explicit(&thread->clock, clock, memory_order_relaxed); /* read by flush_now() */
	return clock << SEQUENCE_THREAD_BITS | thread->id;
}

/* The CAS that clients see: given by one (meta E), else the sequence. */
static inline uint64_t
item_visible_cas(const struct store *store, const struct item *item, uint64_t meta)
{
	if (!store->cas)
		return 0;
	return meta & ITEM_EXT_CAS ? item_ext_cas(item) : meta_sequence(meta);
}

/* Unix time to an item's expiry; a moment before the store began counts as its first second. */
static inline uint32_t
expiry_of(const struct store *store, uint32_t expires_s)
{
	if (expires_s == STORE_EXPTIME_NEVER)
		return 0;
	if (expires_s <= store->base_s)
		return 1;
	uint32_t expiry = expires_s - store->base_s;
	return expiry < ITEM_EXPIRY_MASK ? expiry : ITEM_EXPIRY_MASK;
}

/* And back. */
static inline uint32_t
expires_of(const struct store *store, const struct item *item)
{
	uint32_t expiry = item_expiry(item);
	return expiry ? store->base_s + expiry : STORE_EXPTIME_NEVER;
}

#endif
