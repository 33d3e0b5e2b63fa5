/*
 * Is an item alive? Expired by time, or flushed by flush_all, it is as good as absent but still in the index.
 *
 * An item's meta word and its expiry change in place, one at a time and under the bucket's lock. A reader takes both as
 * they were at one moment (item_moment()): else it could see what a touch left and not the invalidate before it.
 *
 * Every change of an item draws a sequence, 48 bits that are its CAS, too: unique in the store and rising for each item.
 * Threads draw blocks of them from one counter, so that writing meets no shared line; the rest of a block is given up
 * when it has fallen behind. 48 bits last 325 days of ten million writes a second.
 *
 * A flush is a moment of that counter: what was drawn before is gone. So an item set in the same second after
 * flush_all survives, however coarse the clock of seconds is. No block is drawn while a flush happens (sequence_lock),
 * and a writer draws first and then asks which flush was the latest:
 *
 *   writer   draws 70 .... latest flush 40: the old item, 55, is alive, so replace() may ..... publishes 70
 *   flush_all                                                                 flushes up to 90
 *                                          70 was never seen: as if the flush had come just after it
 *
 * The other way round the old item could be alive by one flush and the new one outlive the next.
 */
#ifndef WIRECACHE_STORE_LIFE_H
#define WIRECACHE_STORE_LIFE_H

#include "store/internal.h"

#define SEQUENCE_BLOCK_MIN 16u
#define SEQUENCE_BLOCK_MAX 1024u

enum item_life { ITEM_ALIVE, ITEM_EXPIRED, ITEM_FLUSHED };

/* meta and, in *expiry, the expiry as they were at one moment. Readers set FETCHED without a lock: it does not count. */
static inline uint64_t
item_moment(const struct item *item, uint32_t *expiry)
{
	/* These acquires pair with the releases of item_expiry_set() and meta_raise(), who come one after the other. */
	uint64_t meta = atomic_load_explicit(&item->meta, memory_order_acquire);

	for (;;) {
		*expiry = atomic_load_explicit(&item->expiry, memory_order_acquire) & ITEM_EXPIRY_MASK;
		uint64_t again = atomic_load_explicit(&item->meta, memory_order_acquire);
		if (__builtin_expect(((meta ^ again) & ~(uint64_t)STORE_ITEM_FETCHED) == 0, 1))
			return meta;
		meta = again;
	}
}

/* Everything up to it is flushed. */
static inline uint64_t
flush_latest(const struct store *store)
{
	/* acquire pairs with flush_now() */
	return atomic_load_explicit(&store->flush_sequence, memory_order_acquire);
}

/* By a flush that was asked for before. */
static inline enum item_life
life_by(const struct store_thread *thread, uint64_t meta, uint32_t expiry, uint64_t flush)
{
	if (expiry && expiry <= thread->now_expiry)
		return ITEM_EXPIRED;
	return meta_sequence(meta) <= flush ? ITEM_FLUSHED : ITEM_ALIVE;
}

static inline enum item_life
item_life(const struct store_thread *thread, const struct item *item, uint64_t meta)
{
	return life_by(thread, meta, item_expiry(item), flush_latest(thread->store));
}

/* The next block; small again after one that was given up: then threads take turns at an item. */
static inline void
sequence_refill(struct store_thread *thread)
{
	struct store *store = thread->store;
	bool used_up = thread->sequence == thread->sequence_end;

	thread->sequence_block = used_up && thread->sequence_block < SEQUENCE_BLOCK_MAX
	                             ? 2 * thread->sequence_block
	                         : used_up ? SEQUENCE_BLOCK_MAX
	                                   : SEQUENCE_BLOCK_MIN;
	spin_lock(&store->sequence_lock);
	thread->sequence = store->sequence;
	store->sequence += thread->sequence_block;
	spin_unlock(&store->sequence_lock);
	thread->sequence_end = thread->sequence + thread->sequence_block;
}

/*
 * Makes the next sequence of this thread one above the old one's and above every flush so far. Returns the latest of
 * those: by it alone the writer decides what is alive.
 */
static inline uint64_t
sequence_prepare(struct store_thread *thread, uint64_t old)
{
	for (;;) {
		uint64_t flush = flush_latest(thread->store);
		if (thread->sequence != thread->sequence_end && thread->sequence > old &&
		    thread->sequence > flush)
			return flush;
		sequence_refill(thread); /* a new block is above all that was ever drawn */
	}
}

/* After sequence_prepare(). */
static inline uint64_t
sequence_take(struct store_thread *thread)
{
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
expires_of(const struct store *store, uint32_t expiry)
{
	return expiry ? store->base_s + expiry : STORE_EXPTIME_NEVER;
}

#endif
