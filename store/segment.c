/*
 * Segment states, queues and the choice of victims. See segment.h for the life of a segment.
 */
#include "store/segment.h"
#include "store/epoch.h"

/* Segments looked at in one search for dead ones, and the dead share from which moving the rest pays. */
#define SCAN_SEGMENTS     64u
#define COMPACT_DEAD_PART 8u
#define QUEUE_LOOK_MAX    1024u /* segments looked at in one queue: all that fills may hold in a small store */
#define RECLAIM_LOOK_MAX  32u   /* segments in limbo looked at in one go */
#define CRAWL_LOOK_MAX    64u
#define RESERVE_PART      16u /* the reserve is at most 1/16 of the segments */

uint32_t
segment_reserve(const struct partition *part, const struct store *store)
{
	uint32_t want = 2 + atomic_load_explicit(&store->registered, memory_order_relaxed);
	uint32_t most = part->segments_len / RESERVE_PART;
	return want < most ? want : most;
}

static void
queue_push(struct partition *part, struct segment_queue *queue, uint32_t segment)
{
	struct segment *seg = &part->segments[segment];

	seg->next = SEGMENT_NONE;
	seg->prev = queue->tail;
	if (queue->tail == SEGMENT_NONE)
		queue->head = segment;
	else
		part->segments[queue->tail].next = segment;
	queue->tail = segment;
}

static void
queue_remove(struct partition *part, struct segment_queue *queue, uint32_t segment)
{
	struct segment *seg = &part->segments[segment];

	if (seg->prev == SEGMENT_NONE)
		queue->head = seg->next;
	else
		part->segments[seg->prev].next = seg->next;
	if (seg->next == SEGMENT_NONE)
		queue->tail = seg->prev;
	else
		part->segments[seg->next].prev = seg->prev;
}

static void
state_set(struct segment *seg, enum segment_state state)
{
	atomic_store_explicit(
	    &seg->state, state, memory_order_relaxed); /* under the lock; others read it as a hint */
}

static enum segment_state
state_get(const struct segment *seg)
{
	return (enum segment_state)atomic_load_explicit(&seg->state, memory_order_relaxed);
}

/* A counter that is written under the lock and read by anyone. */
static void
len_add(_Atomic uint32_t *len, uint32_t amount)
{
	atomic_store_explicit(
	    len, atomic_load_explicit(len, memory_order_relaxed) + amount, memory_order_relaxed);
}

static uint32_t
len_get(const _Atomic uint32_t *len)
{
	return atomic_load_explicit(len, memory_order_relaxed);
}

uint64_t
segment_priority(const struct partition *part, uint32_t class)
{
	return part->age + (1ull << class);
}

static uint32_t
segment_class_left(const struct partition *part, const struct segment *seg)
{
	uint64_t left = seg->priority > part->age ? seg->priority - part->age : 1;
	uint32_t class = 63 - (uint32_t)__builtin_clzll(left + left / 2); /* to the nearest */

	return class < CLASSES ? class : CLASSES - 1;
}

/* The limit is compared with what is used but for `spared`. */
static uint32_t
take_locked(struct partition *part, uint32_t reserve, uint32_t spared)
{
	uint32_t segment = part->free_head;

	if (len_get(&part->free_len) <= reserve ||
	    len_get(&part->used_len) - spared + reserve >= len_get(&part->limit_len))
		return SEGMENT_NONE;
	part->free_head = part->segments[segment].next;
	len_add(&part->free_len, -1u);
	len_add(&part->used_len, 1);
	return segment;
}

static void
open_locked(struct partition *part, uint32_t segment, uint32_t class)
{
	struct segment *seg = &part->segments[segment];

	seg->class = class;
	seg->priority = segment_priority(part, class);
	atomic_store_explicit(&seg->used_bytes, 0, memory_order_relaxed);
	atomic_store_explicit(&seg->dead_bytes, 0, memory_order_relaxed);
	atomic_store_explicit(&seg->expires_max, 0, memory_order_relaxed);
	atomic_store_explicit(&seg->expires_min, UINT32_MAX, memory_order_relaxed);
	state_set(seg, SEGMENT_OPEN);
}

uint32_t
segment_take(struct partition *part, uint32_t reserve, uint32_t class)
{
	spin_lock(&part->lock);
	uint32_t segment = take_locked(part, reserve, 0);
	if (segment != SEGMENT_NONE)
		open_locked(part, segment, class);
	spin_unlock(&part->lock);
	return segment;
}

uint32_t
segment_take_for_limbo(struct partition *part, uint32_t reserve, uint32_t class)
{
	spin_lock(&part->lock);
	uint32_t segment = take_locked(part, reserve, len_get(&part->limbo_len));
	if (segment != SEGMENT_NONE)
		open_locked(part, segment, class);
	spin_unlock(&part->lock);
	return segment;
}

uint32_t
segment_take_index(struct partition *part, uint32_t reserve)
{
	uint32_t segment = SEGMENT_NONE;

	spin_lock(&part->lock);
	if (len_get(&part->index_segments) < part->index_segments_max)
		segment = take_locked(part, reserve, 0);
	if (segment != SEGMENT_NONE) {
		state_set(&part->segments[segment], SEGMENT_INDEX);
		len_add(&part->index_segments, 1);
	}
	spin_unlock(&part->lock);
	return segment;
}

static void
free_locked(struct partition *part, uint32_t segment)
{
	struct segment *seg = &part->segments[segment];

	state_set(seg, SEGMENT_FREE);
	seg->next = part->free_head;
	part->free_head = segment;
	len_add(&part->free_len, 1);
	len_add(&part->used_len, -1u);
}

void
segment_give(struct partition *part, uint32_t segment)
{
	spin_lock(&part->lock);
	free_locked(part, segment);
	spin_unlock(&part->lock);
}

void
segment_give_index(struct partition *part, uint32_t segment)
{
	spin_lock(&part->lock);
	len_add(&part->index_segments, -1u);
	free_locked(part, segment);
	spin_unlock(&part->lock);
}

void
segment_seal(struct store *store, struct partition *part, uint32_t segment, uint32_t used_bytes)
{
	struct segment *seg = &part->segments[segment];

	spin_lock(&part->lock);
	atomic_store_explicit(&seg->used_bytes, used_bytes, memory_order_relaxed);
	/* acquire pairs with flush_now(): who wrote an item after a flush sees its generation here, too */
	seg->flush_generation = atomic_load_explicit(&store->flush_generation, memory_order_acquire);
	queue_push(part, &part->queue[seg->class], segment);
	state_set(seg, SEGMENT_SEALED);
	spin_unlock(&part->lock);
}

static bool
segment_idle(const struct segment *seg)
{
	/* acquire pairs with the release of the last fill: its bytes are complete */
	return state_get(seg) == SEGMENT_SEALED &&
	       atomic_load_explicit(&seg->fills, memory_order_acquire) == 0;
}

/* Nothing in it can be read any more. */
static bool
segment_all_dead(const struct store *store, const struct segment *seg, uint32_t now_expiry)
{
	return len_get(&seg->dead_bytes) >= len_get(&seg->used_bytes) ||
	       len_get(&seg->expires_max) <= now_expiry ||
	       seg->flush_generation != len_get(&store->flush_generation);
}

/* Looks at the next SCAN_SEGMENTS for one that is dead or the one with the most dead bytes. */
static enum victim_kind
victim_scan(const struct store *store, struct partition *part, uint32_t now_expiry, uint32_t *segment)
{
	uint32_t most = 0, most_segment = SEGMENT_NONE;
	uint32_t looks = part->segments_len < SCAN_SEGMENTS ? part->segments_len : SCAN_SEGMENTS;

	while (looks--) {
		uint32_t at = part->scan;
		const struct segment *seg = &part->segments[at];
		part->scan = at + 1 < part->segments_len ? at + 1 : 0;
		if (!segment_idle(seg))
			continue;
		if (segment_all_dead(store, seg, now_expiry)) {
			*segment = at;
			return VICTIM_DEAD;
		}
		if (len_get(&seg->dead_bytes) > most) {
			most = len_get(&seg->dead_bytes);
			most_segment = at;
		}
	}
	*segment = most_segment;
	if (most >= segment_bytes(part) / COMPACT_DEAD_PART)
		return VICTIM_COMPACT;
	return VICTIM_NONE;
}

/*
 * The first of a queue that may go. What fills still write into goes to the end, as if it had been sealed now: else the
 * segments of one slow sender would gather at the head and hide all victims behind them.
 */
static uint32_t
queue_first_idle(struct partition *part, uint32_t class)
{
	struct segment_queue *queue = &part->queue[class];
	uint32_t last = queue->tail, next = queue->head;

	for (unsigned looks = 0; next != SEGMENT_NONE && looks < QUEUE_LOOK_MAX; looks++) {
		uint32_t at = next;
		struct segment *seg = &part->segments[at];
		if (segment_idle(seg))
			return at;
		next = at != last ? seg->next : SEGMENT_NONE;
		queue_remove(part, queue, at);
		queue_push(part, queue, at);
		seg->priority = segment_priority(part, class);
	}
	return SEGMENT_NONE;
}

/* The first of each queue that may go; the one with the least priority. */
static enum victim_kind
victim_evict(struct partition *part, uint32_t *segment)
{
	uint64_t least = UINT64_MAX;

	for (uint32_t class = 0; class < CLASSES; class ++) {
		uint32_t at = queue_first_idle(part, class);
		if (at == SEGMENT_NONE)
			continue;
		if (part->segments[at].priority < least) {
			least = part->segments[at].priority;
			*segment = at;
		}
	}
	if (least == UINT64_MAX)
		return VICTIM_NONE;
	if (least > part->age)
		part->age = least;
	return VICTIM_EVICT;
}

enum victim_kind
segment_victim(const struct store *store, struct partition *part, uint32_t now_expiry, enum victim_kind most,
    uint32_t *segment, uint32_t *class_left)
{
	spin_lock(&part->lock);
	enum victim_kind kind = victim_scan(store, part, now_expiry, segment);
	if (kind > most)
		kind = VICTIM_NONE;
	if (kind == VICTIM_NONE && most == VICTIM_EVICT)
		kind = victim_evict(part, segment);
	if (kind != VICTIM_NONE) {
		struct segment *seg = &part->segments[*segment];
		*class_left = segment_class_left(part, seg);
		queue_remove(part, &part->queue[seg->class], *segment);
		state_set(seg, SEGMENT_BUSY);
	}
	spin_unlock(&part->lock);
	return kind;
}

void
segment_unvictim(struct partition *part, uint32_t segment)
{
	struct segment *seg = &part->segments[segment];

	spin_lock(&part->lock);
	queue_push(part, &part->queue[seg->class], segment);
	state_set(seg, SEGMENT_SEALED);
	spin_unlock(&part->lock);
}

uint32_t
segment_crawl_begin(struct partition *part, uint32_t now_expiry)
{
	uint32_t found = SEGMENT_NONE;
	uint32_t looks = part->segments_len < CRAWL_LOOK_MAX ? part->segments_len : CRAWL_LOOK_MAX;

	spin_lock(&part->lock);
	while (looks-- && found == SEGMENT_NONE) {
		struct segment *seg = &part->segments[part->crawl];
		if (segment_idle(seg) && len_get(&seg->expires_min) <= now_expiry) {
			state_set(seg, SEGMENT_BUSY);
			found = part->crawl;
		}
		part->crawl = part->crawl + 1 < part->segments_len ? part->crawl + 1 : 0;
	}
	spin_unlock(&part->lock);
	return found;
}

void
segment_crawl_end(struct partition *part, uint32_t segment, uint32_t expires_min)
{
	struct segment *seg = &part->segments[segment];

	spin_lock(&part->lock);
	atomic_store_explicit(&seg->expires_min, expires_min, memory_order_relaxed);
	state_set(seg, SEGMENT_SEALED);
	spin_unlock(&part->lock);
}

void
segment_retire(struct store *store, struct partition *part, uint32_t segment)
{
	struct segment *seg = &part->segments[segment];

	seg->retired_epoch = epoch_retire(store);
	spin_lock(&part->lock);
	state_set(seg, SEGMENT_LIMBO);
	queue_push(part, &part->limbo, segment);
	len_add(&part->limbo_len, 1);
	spin_unlock(&part->lock);
}

static bool
segment_pinned(const struct store *store, const struct partition *part, uint32_t segment)
{
	for (uint32_t i = 0; i < store->threads_max; i++) {
		/* acquire pairs with store_thread_register() */
		const _Atomic uint32_t *pins =
		    atomic_load_explicit(&store->threads[i].pins[part->index], memory_order_acquire);
		/* acquire pairs with store_unpin(): the last use comes before the reuse */
		if (pins && atomic_load_explicit(&pins[segment], memory_order_acquire))
			return true;
	}
	return false;
}

static bool
segment_held(const struct store_thread *thread, const struct partition *part, uint32_t segment)
{
	for (uint32_t i = 0; i < thread->held_len; i++)
		if (thread->held[i] == (part->index << HELD_SHIFT | segment))
			return true;
	return false;
}

uint32_t
segment_reclaim(const struct store_thread *thread, struct partition *part)
{
	uint32_t freed = 0;

	if (len_get(&part->limbo_len) == 0)
		return 0;
	spin_lock(&part->lock);
	uint64_t safe = epoch_safe(thread->store, thread->holding_any ? NULL : thread);
	uint32_t looks = len_get(&part->limbo_len);
	if (looks > RECLAIM_LOOK_MAX)
		looks = RECLAIM_LOOK_MAX;
	while (looks--) {
		uint32_t segment = part->limbo.head;
		queue_remove(part, &part->limbo, segment);
		if (part->segments[segment].retired_epoch > safe || segment_held(thread, part, segment) ||
		    segment_pinned(thread->store, part, segment)) {
			queue_push(part, &part->limbo, segment);
			continue;
		}
		len_add(&part->limbo_len, -1u);
		free_locked(part, segment);
		freed++;
	}
	spin_unlock(&part->lock);
	return freed;
}
