/*
 * Open segments, refilling and the books of dead bytes. See alloc.h.
 */
#include "store/alloc.h"
#include "store/epoch.h"
#include "store/evict.h"
#include "store/segment.h"

#include <time.h>

/* Of a partition's segments, at most 1/16 are open over all threads. */
#define OPEN_PART           16u
/*
 * Looking for memory while other threads have not yet quiesced: a few microseconds of pauses for threads that run, then
 * yields, then sleeps for one that was preempted on a machine that is busy: its turn comes after some tens of
 * milliseconds. Yields and sleeps are bounded by the clock, since each lasts as long as other programs' turns, and who
 * waited in vain does not wait again for the same epoch.
 */
#define REFILL_EFFORTS      6144u
#define REFILL_PAUSE_ROUNDS 256u
#define REFILL_YIELDS_NS    2000000u
#define REFILL_WAIT_NS      1000000000u
#define REFILL_SLEEP_NS     100000
/* Rounds after which a writer stops moving items and drops them, and does without what is in limbo. */
#define REFILL_MOVE_ROUNDS  8u

struct refill {
	unsigned round;
	unsigned efforts;  /* rounds that were no waiting */
	uint64_t began_ns; /* to wait longer than pauses; 0: not yet */
};

static void
open_seal(struct store_thread *thread, struct partition *part, struct open_segment *open)
{
	if (open->segment != SEGMENT_NONE)
		segment_seal(thread->store, part, open->segment, open->tail);
	open->segment = SEGMENT_NONE;
	open->tail = segment_bytes(part);
	open->base = NULL;
}

static void *
open_start(
    struct store_thread *thread, struct partition *part, uint32_t open, uint32_t segment, uint32_t bytes)
{
	struct open_segment *to = &thread->open[part->index][open];

	to->segment = segment;
	to->base = segment_base(part, segment);
	to->tail = bytes;
	return to->base;
}

/* Does what one round can do for a free segment; false when only waiting is left. */
static bool
refill_effort(struct store_thread *thread, struct partition *part, unsigned round)
{
	/* Without views out, this thread is as good as quiescent: nothing between two operations refers to
	 * items. */
	if (!thread->holding)
		epoch_quiesce(thread);
	if (segment_reclaim(thread, part))
		return true;
	if (atomic_load_explicit(&part->limbo_len, memory_order_relaxed) > part->segments_len / 2)
		return false;
	return evict_inline(thread, part, round >= REFILL_MOVE_ROUNDS);
}

static uint64_t
monotonic_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Sleeping helps when a thread is late, not against pins. False when it was long enough. */
static bool
refill_wait(struct refill *refill, bool late)
{
	const struct timespec pause = {.tv_nsec = REFILL_SLEEP_NS};

	if (refill->round < REFILL_PAUSE_ROUNDS) {
		_mm_pause();
		return true;
	}
	uint64_t now_ns = monotonic_ns();
	if (refill->began_ns == 0)
		refill->began_ns = now_ns;
	uint64_t waited_ns = now_ns - refill->began_ns;
	if (waited_ns < REFILL_YIELDS_NS)
		sched_yield();
	else if (late && waited_ns < REFILL_WAIT_NS)
		nanosleep(&pause, NULL);
	else
		return false;
	return true;
}

/* False when no more can be done. */
static bool
refill_again(struct store_thread *thread, struct partition *part, struct refill *refill)
{
	if (refill_effort(thread, part, refill->round))
		return refill->efforts++ < REFILL_EFFORTS;
	if (atomic_load_explicit(&part->limbo_len, memory_order_relaxed) == 0)
		return false; /* nothing will come */
	uint64_t safe = epoch_safe(thread->store, thread);
	bool late = safe < atomic_load_explicit(&thread->store->epoch, memory_order_relaxed);
	if ((refill->round >= REFILL_PAUSE_ROUNDS && safe == thread->waited_epoch) ||
	    !refill_wait(refill, late)) {
		thread->waited_epoch = safe;
		return false;
	}
	COUNT(thread, grace_waits);
	return true;
}

static uint32_t
refill_segment(struct store_thread *thread, struct partition *part, uint32_t class)
{
	uint32_t reserve = segment_reserve(part, thread->store);

	for (struct refill refill = {0};; refill.round++) {
		uint32_t segment = segment_take(part, reserve, class);
		if (segment != SEGMENT_NONE)
			return segment;
		if (refill.round >= REFILL_MOVE_ROUNDS) {
			segment = segment_take_for_limbo(part, reserve, class);
			if (segment != SEGMENT_NONE)
				return segment;
		}
		if (!refill_again(thread, part, &refill))
			break;
	}
	return segment_take_for_limbo(part, reserve / 2, class);
}

uint32_t
alloc_index_segment(struct store_thread *thread, struct partition *part)
{
	uint32_t reserve = segment_reserve(part, thread->store);

	for (struct refill refill = {0};; refill.round++) {
		uint32_t segment = segment_take_index(part, reserve);
		if (segment != SEGMENT_NONE)
			return segment;
		if (atomic_load_explicit(&part->index_segments, memory_order_relaxed) >=
		        part->index_segments_max ||
		    !refill_again(thread, part, &refill))
			return SEGMENT_NONE;
	}
}

void *
alloc_refill(
    struct store_thread *thread, struct partition *part, uint32_t open, uint32_t class, uint32_t bytes)
{
	open_seal(thread, part, &thread->open[part->index][open]);
	uint32_t segment = refill_segment(thread, part, class);
	/* Emptying a segment may have opened one for the same class meanwhile: then that one goes first. */
	struct open_segment *to = &thread->open[part->index][open];
	if (to->tail + bytes <= segment_bytes(part)) {
		if (segment != SEGMENT_NONE)
			segment_give(part, segment);
		return alloc_record(thread, part, open, class, bytes);
	}
	if (segment == SEGMENT_NONE) {
		COUNT(thread, no_memory);
		return NULL;
	}
	open_seal(thread, part, to);
	return open_start(thread, part, open, segment, bytes);
}

void *
alloc_moving(
    struct store_thread *thread, struct partition *part, uint32_t open, uint32_t class, uint32_t bytes)
{
	struct open_segment *to = &thread->open[part->index][open];

	if (to->tail + bytes <= segment_bytes(part)) {
		void *record = to->base + to->tail;
		to->tail += bytes;
		return record;
	}
	uint32_t segment = segment_take(part, 0, class);
	if (segment == SEGMENT_NONE)
		return NULL;
	open_seal(thread, part, to);
	return open_start(thread, part, open, segment, bytes);
}

void
alloc_undo(struct store_thread *thread, struct partition *part, uint32_t open, void *record, uint32_t bytes)
{
	struct open_segment *from = &thread->open[part->index][open];
	bool lies_there = from->segment == location_segment(part, pointer_location(part, record));

	/* Its end alone does not tell: it may be that of the segment before, and this one empty again. */
	if (lies_there && from->base + from->tail == (uint8_t *)record + bytes) {
		from->tail -= bytes;
		return;
	}
	record_make_hole(record, bytes);
	segment_dead(part, pointer_location(part, record), bytes);
}

void
alloc_fill_begin(struct partition *part, const void *record)
{
	struct segment *seg = segment_of(part, pointer_location(part, record));
	if (atomic_fetch_add_explicit(&seg->fills, 1, memory_order_relaxed) == 0)
		atomic_fetch_add_explicit(&part->filled, 1, memory_order_relaxed);
}

void
alloc_fill_end(struct partition *part, const void *record)
{
	struct segment *seg = segment_of(part, pointer_location(part, record));
	/* release pairs with segment_idle() */
	if (atomic_fetch_sub_explicit(&seg->fills, 1, memory_order_release) == 1)
		atomic_fetch_sub_explicit(&part->filled, 1, memory_order_relaxed);
}

/* How many of `want` value bytes a chunk can take at the end of the open segment; 0: too few to bother. */
static uint32_t
chunk_room(const struct partition *part, const struct open_segment *open, uint32_t want)
{
	uint32_t left = segment_bytes(part) - open->tail;
	uint32_t least = want < CHUNK_BYTES_MIN ? want : CHUNK_BYTES_MIN;

	if (left < record_round((uint32_t)sizeof(struct chunk) + least))
		return 0;
	left -= (uint32_t)sizeof(struct chunk);
	if (want > CHUNK_BYTES_MAX)
		want = CHUNK_BYTES_MAX;
	return want < left ? want : left;
}

struct chunk *
alloc_chunk(struct store_thread *thread, struct partition *part, const struct chunk_owner *owner,
    uint32_t ordinal, uint32_t want)
{
	uint32_t open = open_of(thread, owner->class, owner->expiry);
	uint32_t room = chunk_room(part, &thread->open[part->index][open], want);
	struct chunk *chunk;

	if (room == 0) {
		struct open_segment empty = {.tail = 0};
		room = chunk_room(part, &empty, want);
		chunk = alloc_refill(
		    thread, part, open, owner->class, record_round((uint32_t)sizeof(*chunk) + room));
	} else {
		chunk = alloc_record(
		    thread, part, open, owner->class, record_round((uint32_t)sizeof(*chunk) + room));
	}
	if (!chunk)
		return NULL;
	atomic_store_explicit(&chunk->meta, meta_make(0, RECORD_KIND_CHUNK, ITEM_RAW), memory_order_relaxed);
	chunk->bytes = room;
	chunk->ordinal = ordinal;
	chunk->hash = owner->hash;
	alloc_chunk_expiry(part, chunk, owner->expiry);
	alloc_fill_begin(part, chunk);
	return chunk;
}

static void
expires_max_raise(struct segment *seg, uint32_t latest)
{
	uint32_t seen = atomic_load_explicit(&seg->expires_max, memory_order_relaxed);

	while (seen < latest && !atomic_compare_exchange_weak_explicit(&seg->expires_max, &seen, latest,
	                            memory_order_relaxed, memory_order_relaxed))
		;
}

void
alloc_chunk_expiry(struct partition *part, const struct chunk *chunk, uint32_t expiry)
{
	expires_max_raise(segment_of(part, pointer_location(part, chunk)), expiry ? expiry : UINT32_MAX);
}

void
alloc_widen_expiry(struct segment *seg, uint32_t latest)
{
	expires_max_raise(seg, latest);
	uint32_t seen = atomic_load_explicit(&seg->expires_min, memory_order_relaxed);
	while (seen > latest && !atomic_compare_exchange_weak_explicit(&seg->expires_min, &seen, latest,
	                            memory_order_relaxed, memory_order_relaxed))
		;
}

uint64_t
alloc_item_bytes(const struct item *item)
{
	uint64_t meta = item_meta(item);
	uint64_t bytes = item_record_bytes(item, meta);

	if (meta & ITEM_CHUNKED) {
		const struct chunk_list *list = item_chunks(item, meta);
		for (uint32_t i = 0; i < list->len; i++)
			bytes +=
			    record_round((uint32_t)sizeof(struct chunk) + chunk_entry_bytes(list->entry[i]));
	}
	return bytes;
}

void
alloc_dead(struct store_thread *thread, struct partition *part, const struct item *item)
{
	uint64_t meta = item_meta(item);
	uint32_t own = item_record_bytes(item, meta);
	uint64_t total = own;

	segment_dead(part, pointer_location(part, item), own);
	if (meta & ITEM_CHUNKED) {
		const struct chunk_list *list = item_chunks(item, meta);
		for (uint32_t i = 0; i < list->len; i++) {
			uint32_t bytes =
			    record_round((uint32_t)sizeof(struct chunk) + chunk_entry_bytes(list->entry[i]));
			segment_dead(part, chunk_entry_location(list->entry[i]), bytes);
			total += bytes;
		}
	}
	COUNT(thread, items_out);
	COUNT_ADD(thread, bytes_out, total);
}

void
alloc_seal_expired(struct store_thread *thread)
{
	for (unsigned p = 0; p < thread->store->partitions_len; p++) {
		struct partition *part = &thread->store->partitions[p];
		for (uint32_t at = 0; at < OPENS; at++) {
			struct open_segment *open = &thread->open[p][at];
			if (open->segment == SEGMENT_NONE || open->tail == 0)
				continue;
			/* 0: nothing is published yet, as when a value is still on its way. */
			uint32_t latest = atomic_load_explicit(
			    &part->segments[open->segment].expires_max, memory_order_relaxed);
			if (latest && latest <= thread->now_expiry)
				open_seal(thread, part, open);
		}
	}
}

void
alloc_close(struct store_thread *thread)
{
	for (unsigned p = 0; p < thread->store->partitions_len; p++)
		for (uint32_t open = 0; open < OPENS; open++)
			open_seal(thread, &thread->store->partitions[p], &thread->open[p][open]);
}

void
alloc_shape(struct store_thread *thread)
{
	const struct store *store = thread->store;
	uint32_t threads = atomic_load_explicit(&store->registered, memory_order_relaxed);
	uint32_t segments = store->partitions[0].segments_len;
	uint32_t opens = segments / OPEN_PART / (threads ? threads : 1);
	uint32_t groups = segments >= TTL_SEGMENTS_MIN && opens >= 2 * TTL_GROUPS ? TTL_GROUPS : 1;
	uint32_t classes = opens / groups;

	classes = classes < 1 ? 1 : classes > CLASSES ? CLASSES : classes;
	if (classes == thread->classes && groups == thread->ttl_groups)
		return;
	alloc_close(thread);
	thread->classes = classes;
	thread->ttl_groups = groups;
}
