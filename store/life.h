/*
 * Is an item alive? Expired by time, or flushed by flush_all, it is as good as absent but still in the index.
 *
 * Every change of an item draws a sequence, 48 bits that are its CAS, too: unique in the store and rising for each item.
 * Threads draw blocks of them from one counter, so that writing meets no shared line; the rest of a block is given up
 * when it has fallen behind. 48 bits last 325 days of ten million writes a second.
 *
 * A flush is a moment of that counter: what was drawn before is gone. So an item set in the same second after
 * flush_all survives, however coarse the clock of seconds is.
 */
#ifndef WIRECACHE_STORE_LIFE_H
#define WIRECACHE_STORE_LIFE_H

#include "store/internal.h"

#define SEQUENCE_BLOCK_MIN 16u
#define SEQUENCE_BLOCK_MAX 1024u

enum item_life { ITEM_ALIVE, ITEM_EXPIRED, ITEM_FLUSHED };

static inline enum item_life
item_life(const struct store_thread *thread, const struct item *item, uint64_t meta)
{
	uint32_t expiry = item_expiry(item);

	if (expiry && expiry <= thread->now_expiry)
		return ITEM_EXPIRED;
	/* acquire pairs with flush_now() */
	if (meta_sequence(meta) <= atomic_load_explicit(&thread->store->flush_sequence, memory_order_acquire))
		return ITEM_FLUSHED;
	return ITEM_ALIVE;
}

/* The next block; small again after one that was given up: then threads take turns at an item. */
static inline void
sequence_refill(struct store_thread *thread)
{
	bool used_up = thread->sequence == thread->sequence_end;

	thread->sequence_block = used_up && thread->sequence_block < SEQUENCE_BLOCK_MAX
	                             ? 2 * thread->sequence_block
	                         : used_up ? SEQUENCE_BLOCK_MAX
	                                   : SEQUENCE_BLOCK_MIN;
	/* acq_rel: flush_now() reads this counter; a block drawn after a flush is above it */
	thread->sequence =
	    atomic_fetch_add_explicit(&thread->store->sequence, thread->sequence_block, memory_order_acq_rel);
	thread->sequence_end = thread->sequence + thread->sequence_block;
}

/* A sequence above the old one's and above every flush. */
static inline uint64_t
sequence_next(struct store_thread *thread, uint64_t old)
{
	/* acquire pairs with flush_now() */
	uint64_t flush = atomic_load_explicit(&thread->store->flush_sequence, memory_order_acquire);

	/* A new block is above all that was ever drawn. */
	if (thread->sequence == thread->sequence_end || thread->sequence <= old || thread->sequence <= flush)
		sequence_refill(thread);
	return thread->sequence++;
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
