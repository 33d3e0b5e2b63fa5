/*
 * The life of a segment:
 *
 *          take                seal                 victim              retire              reclaim
 *   FREE --------> OPEN --------------> SEALED --------------> BUSY --------------> LIMBO ----------> FREE
 *     |            one thread           queue of its           one thread           waits for readers
 *     |            appends items        class, by age          unlinks and          and pins
 *     +---------> INDEX (for good)      ^        |             moves items
 *                                       +--------+ crawl: expired items unlinked, stays where it was
 *
 * All of it under the partition's lock, whose sections are a few dozen instructions. Any thread.
 *
 * Which victim: greedy dual size frequency at the grain of segments. A segment is opened for items of one
 * class, an octave of worth (hits over size); its priority is the partition's age when it was opened plus
 * 2^class, and the age follows the priority of the victims. Queues are in order of age, so only their heads
 * need a look.
 */
#ifndef WIRECACHE_STORE_SEGMENT_H
#define WIRECACHE_STORE_SEGMENT_H

#include "store/internal.h"

/* Free segments that only moving items may use, so that emptying a segment never stands still. */
uint32_t segment_reserve(const struct partition *part, const struct store *store);

/* SEGMENT_NONE unless more than `reserve` may be taken. priority: of the new segment's items. */
uint32_t segment_take(struct partition *part, uint32_t reserve, uint32_t class);
/*
 * The same when what waits for readers does not count: after the limit was cut there is memory beyond it, and a thread that
 * holds up a grace period must not let others refuse writes meanwhile.
 */
uint32_t segment_take_for_limbo(struct partition *part, uint32_t reserve, uint32_t class);
/* As a part of the index, for good. */
uint32_t segment_take_index(struct partition *part, uint32_t reserve);
/* Gives one back that was not used after all. */
void segment_give_index(struct partition *part, uint32_t segment);

/* Gives back a segment that was taken and never written. */
void segment_give(struct partition *part, uint32_t segment);

/* priority of items of a class taken in now. */
uint64_t segment_priority(const struct partition *part, uint32_t class);

void segment_seal(struct store *store, struct partition *part, uint32_t segment, uint32_t used_bytes);

/* How a victim was chosen, in order of what it costs; also: what the caller is ready to pay. */
enum victim_kind { VICTIM_NONE, VICTIM_DEAD, VICTIM_COMPACT, VICTIM_EVICT };

/*
 * Takes a victim of a kind up to `most` out of its queue, BUSY. *class_left: the class whose items, taken in now, would
 * live as long as is left to the segment; what moves out of it unjudged must not grow younger by that.
 */
enum victim_kind segment_victim(const struct store *store, struct partition *part, uint32_t now_expiry,
    enum victim_kind most, uint32_t *segment, uint32_t *class_left);
/* Puts a victim back that could not be emptied. */
void segment_unvictim(struct partition *part, uint32_t segment);

/* A sealed segment with something expired, BUSY in its queue; SEGMENT_NONE. Looks at a bounded number. */
uint32_t segment_crawl_begin(struct partition *part, uint32_t now_expiry);
void segment_crawl_end(struct partition *part, uint32_t segment, uint32_t expires_min);

/* BUSY to LIMBO; everything in it has been unlinked. */
void segment_retire(struct store *store, struct partition *part, uint32_t segment);

/*
 * LIMBO to FREE as far as grace periods, pins and the thread's own views allow; returns how many. A thread
 * may so reuse memory between its own quiescent points, where its views do not lie: a burst of large writes
 * needs that.
 */
uint32_t segment_reclaim(const struct store_thread *thread, struct partition *part);

/* Remembers that a view of the thread lies there. */
static inline void
segment_hold(struct store_thread *thread, const struct partition *part, uint64_t location)
{
	uint32_t held = part->index << HELD_SHIFT | location_segment(part, location);

	if (thread->held_len > 0 && thread->held[thread->held_len - 1] == held)
		return;
	if (thread->held_len == HELD_MAX)
		thread->holding_any = true;
	else
		thread->held[thread->held_len++] = held;
}

static inline void
segment_hold_nothing(struct store_thread *thread)
{
	thread->holding = thread->holding_any = false;
	thread->held_len = 0;
}

static inline struct segment *
segment_of(const struct partition *part, uint64_t location)
{
	return &part->segments[location_segment(part, location)];
}

static inline void
segment_dead(struct partition *part, uint64_t location, uint32_t bytes)
{
	atomic_fetch_add_explicit(&segment_of(part, location)->dead_bytes, bytes, memory_order_relaxed);
}

#endif
