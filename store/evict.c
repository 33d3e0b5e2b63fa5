/*
 * Walks victims record by record. See evict.h for the policy and segment.h for the choice of victims.
 */
#include "store/evict.h"
#include "store/alloc.h"
#include "store/index.h"
#include "store/life.h"
#include "store/read.h"
#include "store/segment.h"

/* Records hashed and prefetched ahead: enough to hide one memory access behind the others. */
#define WALK_BATCH     16u
/* Free segments kept beyond the reserve by background work: one for each thread and this many. */
#define AHEAD_SEGMENTS 2u

/* One record of a segment being emptied. */
struct walk_record {
	void *record;
	uint64_t hash;
};

struct emptying {
	struct store_thread *thread;
	struct partition *part;
	struct job *job;
};

enum drop_reason { DROP_EVICTED, DROP_EXPIRED };

void
store_watch_evictions(struct store_thread *thread, store_evicted *evicted, void *ctx)
{
	thread->evicted = evicted;
	thread->evicted_ctx = ctx;
}

static __attribute__((noinline)) void
show_evicted(
    const struct store_thread *thread, const struct partition *part, const struct item *item, uint64_t meta)
{
	struct store_entry entry = {.key = item_key(item, meta),
	    .key_len = meta_key_len(meta),
	    .total_bytes = alloc_item_bytes(item)};

	read_view(thread, part, item, meta, item_expiry(item), &entry.view);
	thread->evicted(thread->evicted_ctx, &entry);
}

/* Of an item that has left the index and whose memory is still there. */
static void
count_drop(struct store_thread *thread, const struct partition *part, const struct item *item,
    enum drop_reason reason)
{
	uint64_t meta = item_meta(item);
	bool unfetched = !(meta & STORE_ITEM_FETCHED);

	if (reason == DROP_EVICTED) {
		COUNT(thread, evictions);
		COUNT_ADD(thread, evicted_unfetched, unfetched);
		if (thread->evicted)
			show_evicted(thread, part, item, meta);
	} else {
		COUNT(thread, expired);
		COUNT_ADD(thread, expired_unfetched, unfetched);
	}
}

void
evict_forget(struct store_thread *thread, struct partition *part, const struct item *item)
{
	count_drop(thread, part, item, DROP_EVICTED);
	alloc_dead(thread, part, item);
}

/* Takes the item at a location out of the index; false when someone else did. */
static bool
drop(struct store_thread *thread, struct partition *part, uint64_t hash, uint64_t location,
    enum drop_reason reason)
{
	struct index_cursor cursor;
	struct index_hit hit;

	index_lock(part, hash, &cursor);
	bool found = index_seek_location(&cursor, location, &hit);
	if (found)
		index_remove(&cursor, &hit);
	index_unlock(&cursor);
	if (!found)
		return false;
	count_drop(thread, part, hit.item, reason);
	alloc_dead(thread, part, hit.item);
	return true;
}

/* Copies an item's record; readers may be changing flags and access meanwhile. */
static void
item_copy(struct item *to, const struct item *from, uint32_t bytes)
{
	atomic_store_explicit(&to->meta, item_meta(from), memory_order_relaxed);
	atomic_store_explicit(
	    &to->expiry, atomic_load_explicit(&from->expiry, memory_order_relaxed), memory_order_relaxed);
	to->value_len = from->value_len;
	atomic_store_explicit(
	    &to->access, atomic_load_explicit(&from->access, memory_order_relaxed), memory_order_relaxed);
	memcpy(to->body, from->body, bytes - sizeof(*from));
}

/* Under the bucket's lock: flags, sequence and expiry as they are now, then the swing. */
static bool
move_publish(struct partition *part, uint64_t hash, const struct item *from, struct item *to, uint32_t bytes,
    uint32_t hits)
{
	struct index_cursor cursor;
	struct index_hit hit;

	index_lock(part, hash, &cursor);
	bool found = index_seek_location(&cursor, pointer_location(part, from), &hit);
	if (found) {
		atomic_store_explicit(&to->meta, item_meta(from), memory_order_relaxed);
		item_expiry_set(to, item_expiry(from));
		item_hits_set(to, hits);
		alloc_note_expiry(part, to, item_expiry(from));
		index_swing(&hit, index_place(part, hash, to, bytes));
	}
	index_unlock(&cursor);
	return found;
}

static uint32_t
moved_class(const struct emptying *e, const struct item *item, uint32_t hits)
{
	if (e->job->kind == JOB_COMPACT)
		return e->job->class;
	uint64_t bytes = alloc_item_bytes(item);
	return class_of(bytes > UINT32_MAX ? UINT32_MAX : (uint32_t)bytes, hits);
}

/* False when there is no memory to move to. */
static bool
move_item(const struct emptying *e, struct item *item, uint64_t hash, uint32_t hits)
{
	uint32_t bytes = item_record_bytes(item, item_meta(item));
	uint32_t class = moved_class(e, item, hits);
	uint32_t open = open_of(e->thread, class, item_expiry(item));
	struct item *to = alloc_moving(e->thread, e->part, open, class, bytes);

	if (!to)
		return false;
	item_copy(to, item, bytes);
	/* Once judged, it must be read again to be kept again. */
	if (!move_publish(e->part, hash, item, to, bytes, e->job->kind == JOB_COMPACT ? hits : 0)) {
		alloc_undo(e->thread, e->part, open, to, bytes);
		return true;
	}
	segment_dead(e->part, pointer_location(e->part, item), bytes);
	COUNT(e->thread, moved);
	COUNT_ADD(e->thread, moved_bytes, bytes);
	return true;
}

static bool
must_keep(const struct emptying *e, uint32_t hits)
{
	if (!e->job->evict)
		return true;
	return !e->job->drop && (e->job->kind == JOB_COMPACT || hits > 0);
}

/* False: the job must stop, there is nowhere to move to and nothing may be dropped. */
static bool
empty_item(const struct emptying *e, struct item *item, uint64_t hash)
{
	uint64_t location = pointer_location(e->part, item);
	struct index_hit hit;

	if (!index_find_location(e->part, hash, location, &hit))
		return true;
	if (item_life(e->thread, item, item_meta(item)) != ITEM_ALIVE) {
		drop(e->thread, e->part, hash, location, DROP_EXPIRED);
		return true;
	}
	uint32_t hits = item_hits(item);
	if (must_keep(e, hits) && move_item(e, item, hash, hits))
		return true;
	if (!e->job->evict)
		return false;
	drop(e->thread, e->part, hash, location, DROP_EVICTED);
	return true;
}

/* Where a chunk and its owner's header are copied to. */
struct chunk_move {
	struct chunk *chunk;
	struct item *item;
	uint32_t chunk_bytes, item_bytes;
	uint32_t open;
};

static bool
chunk_move_alloc(
    const struct emptying *e, const struct chunk *chunk, const struct index_hit *owner, struct chunk_move *to)
{
	uint32_t class = moved_class(e, owner->item, item_hits(owner->item));

	to->chunk_bytes = record_round((uint32_t)sizeof(*chunk) + chunk->bytes);
	to->item_bytes = item_record_bytes(owner->item, item_meta(owner->item));
	to->open = open_of(e->thread, class, item_expiry(owner->item));
	to->chunk = alloc_moving(e->thread, e->part, to->open, class, to->chunk_bytes);
	if (!to->chunk)
		return false;
	atomic_store_explicit(
	    &to->chunk->meta, meta_make(0, RECORD_KIND_CHUNK, ITEM_RAW), memory_order_relaxed);
	memcpy(&to->chunk->bytes, &chunk->bytes, to->chunk_bytes - sizeof(chunk->meta));
	/* Allocating again may seal this segment: nobody may empty it before the chunk has its owner. */
	alloc_fill_begin(e->part, to->chunk);
	to->item = alloc_moving(e->thread, e->part, to->open, class, to->item_bytes);
	if (to->item)
		return true;
	alloc_undo(e->thread, e->part, to->open, to->chunk, to->chunk_bytes);
	alloc_fill_end(e->part, to->chunk);
	return false;
}

/* Copies the owner's header, with the chunk's new place, and swings to it; gives both back when that came too late. */
static bool
chunk_move_publish(
    const struct emptying *e, const struct chunk *chunk, const struct index_hit *owner, struct chunk_move *to)
{
	uint32_t hits = item_hits(owner->item);

	alloc_chunk_expiry(e->part, to->chunk, item_expiry(owner->item));
	item_copy(to->item, owner->item, to->item_bytes);
	struct chunk_list *list = (struct chunk_list *)(uintptr_t)item_chunks(to->item, item_meta(to->item));
	list->entry[chunk->ordinal] = chunk_entry_make(pointer_location(e->part, to->chunk), chunk->bytes);
	/* The owner's hits end once a round over its chunks, else a large item once read would stay for ever. */
	if (chunk->ordinal == 0 && e->job->kind == JOB_EVICT)
		hits = 0;
	if (move_publish(e->part, chunk->hash, owner->item, to->item, to->item_bytes, hits))
		return true;
	alloc_undo(e->thread, e->part, to->open, to->item, to->item_bytes);
	alloc_undo(e->thread, e->part, to->open, to->chunk, to->chunk_bytes);
	return false;
}

/* False: no memory. */
static bool
move_chunk(const struct emptying *e, struct chunk *chunk, struct index_hit *owner)
{
	struct chunk_move to;

	if (!chunk_move_alloc(e, chunk, owner, &to))
		return false;
	if (chunk_move_publish(e, chunk, owner, &to)) {
		segment_dead(e->part, pointer_location(e->part, owner->item), to.item_bytes);
		segment_dead(e->part, pointer_location(e->part, chunk), to.chunk_bytes);
		COUNT(e->thread, moved);
		COUNT_ADD(e->thread, moved_bytes, to.chunk_bytes + to.item_bytes);
	}
	alloc_fill_end(e->part, to.chunk);
	return true;
}

static bool
empty_chunk(const struct emptying *e, struct chunk *chunk)
{
	uint64_t location = pointer_location(e->part, chunk);
	struct index_hit owner;

	/* Until it is unlinked: a writer may swing the owner while this moves it. */
	while (index_find_owner(e->part, chunk->hash, chunk->ordinal, location, &owner)) {
		uint64_t owner_location = pointer_location(e->part, owner.item);
		if (item_life(e->thread, owner.item, item_meta(owner.item)) != ITEM_ALIVE) {
			drop(e->thread, e->part, chunk->hash, owner_location, DROP_EXPIRED);
			continue;
		}
		if (must_keep(e, item_hits(owner.item)) && move_chunk(e, chunk, &owner))
			continue;
		if (!e->job->evict)
			return false;
		drop(e->thread, e->part, chunk->hash, owner_location, DROP_EVICTED);
	}
	return true;
}

static void
crawl_item(const struct emptying *e, struct item *item, uint64_t hash)
{
	uint64_t location = pointer_location(e->part, item);
	struct index_hit hit;

	if (!index_find_location(e->part, hash, location, &hit))
		return;
	if (item_life(e->thread, item, item_meta(item)) != ITEM_ALIVE) {
		drop(e->thread, e->part, hash, location, DROP_EXPIRED);
		return;
	}
	uint32_t expiry = item_expiry(item);
	if (expiry && expiry < e->job->expires_min)
		e->job->expires_min = expiry;
}

static bool
walk_one(const struct emptying *e, const struct walk_record *at)
{
	uint64_t meta = item_meta(at->record);

	if (meta & ITEM_RAW) {
		if (e->job->kind == JOB_CRAWL || meta_key_len(meta) != RECORD_KIND_CHUNK)
			return true;
		return empty_chunk(e, at->record);
	}
	if (e->job->kind == JOB_CRAWL) {
		crawl_item(e, at->record, at->hash);
		return true;
	}
	return empty_item(e, at->record, at->hash);
}

/* Reads the next records' headers and fetches their index lines. */
static unsigned
walk_ahead(const struct emptying *e, uint32_t used, struct walk_record *batch, unsigned most)
{
	unsigned len = 0;
	uint8_t *base = segment_base(e->part, e->job->segment);

	while (len < most && e->job->offset < used) {
		struct walk_record *at = &batch[len++];
		at->record = base + e->job->offset;
		e->job->offset += record_bytes(at->record);
		uint64_t meta = item_meta(at->record);
		if (meta & ITEM_RAW) {
			at->hash = 0;
			continue;
		}
		at->hash =
		    hash_bytes(&e->thread->store->hash, item_key(at->record, meta), meta_key_len(meta));
		__builtin_prefetch(index_home(e->part, at->hash));
	}
	return len;
}

static void
job_end(const struct emptying *e)
{
	struct store_thread *thread = e->thread;

	switch (e->job->kind) {
	case JOB_CRAWL:
		segment_crawl_end(e->part, e->job->segment, e->job->expires_min);
		break;
	case JOB_COMPACT:
		if (e->job->dead)
			COUNT(thread, segments_expired);
		else
			COUNT(thread, segments_compacted);
		segment_retire(thread->store, e->part, e->job->segment);
		break;
	default:
		COUNT(thread, segments_evicted);
		segment_retire(thread->store, e->part, e->job->segment);
	}
	e->job->kind = JOB_NONE;
}

/* Does up to `budget` records of the thread's job; returns how many are left of the budget. */
static unsigned
job_run(struct store_thread *thread, unsigned budget)
{
	struct emptying e = {
	    .thread = thread, .part = &thread->store->partitions[thread->job.partition], .job = &thread->job};
	struct walk_record batch[WALK_BATCH];
	uint32_t used =
	    atomic_load_explicit(&e.part->segments[e.job->segment].used_bytes, memory_order_relaxed);

	while (e.job->offset < used && budget > 0) {
		unsigned len = walk_ahead(&e, used, batch, budget < WALK_BATCH ? budget : WALK_BATCH);
		for (unsigned i = 0; i < len; i++)
			if (!walk_one(&e, &batch[i])) {
				segment_unvictim(e.part, e.job->segment);
				e.job->kind = JOB_NONE;
				return 0;
			}
		budget -= len;
	}
	if (e.job->offset >= used)
		job_end(&e);
	return budget;
}

static bool
job_begin(struct store_thread *thread, struct partition *part, enum victim_kind most, bool drop_all)
{
	uint32_t segment, class_left;
	enum victim_kind kind =
	    segment_victim(thread->store, part, thread->now_expiry, most, &segment, &class_left);

	if (kind == VICTIM_NONE)
		return false;
	thread->job = (struct job){.kind = kind == VICTIM_EVICT ? JOB_EVICT : JOB_COMPACT,
	    .partition = part->index,
	    .segment = segment,
	    .class = class_left,
	    .drop = drop_all && kind == VICTIM_EVICT,
	    .dead = kind == VICTIM_DEAD,
	    .evict = thread->store->evict};
	return true;
}

static bool
job_begin_crawl(struct store_thread *thread, struct partition *part)
{
	uint32_t segment = segment_crawl_begin(part, thread->now_expiry);

	if (segment == SEGMENT_NONE)
		return false;
	thread->job = (struct job){
	    .kind = JOB_CRAWL, .partition = part->index, .segment = segment, .expires_min = UINT32_MAX};
	return true;
}

void
evict_finish(struct store_thread *thread)
{
	if (thread->job.kind != JOB_NONE)
		job_run(thread, UINT32_MAX);
}

bool
evict_inline(struct store_thread *thread, struct partition *part, bool drop_all)
{
	bool was_here = thread->job.kind != JOB_NONE && thread->job.kind != JOB_CRAWL &&
	                thread->job.partition == part->index;

	evict_finish(thread);
	if (was_here)
		return true;
	if (!job_begin(thread, part, thread->store->evict ? VICTIM_EVICT : VICTIM_COMPACT, drop_all))
		return false;
	COUNT(thread, evicted_inline);
	uint32_t segment = thread->job.segment;
	evict_finish(thread);
	/* A victim that could not be emptied went back to its queue. */
	return atomic_load_explicit(&part->segments[segment].state, memory_order_relaxed) != SEGMENT_SEALED;
}

/* Gives up the item of a full line that was read least. */
static bool
evict_from_line(struct store_thread *thread, struct partition *part, uint64_t hash)
{
	struct bucket *home = index_home(part, hash);
	uint64_t least = 0;
	uint32_t least_hits = UINT32_MAX;

	for (unsigned s = 0; s < LINE_SLOTS; s++) {
		uint64_t location = slot_load(&home->slot[s]);
		if (location == 0)
			return true;
		uint32_t hits = item_hits(location_pointer(part, location));
		if (hits < least_hits) {
			least = location;
			least_hits = hits;
		}
	}
	if (drop(thread, part, index_slot_hash(thread->store, part, least), least, DROP_EVICTED))
		COUNT(thread, evicted_index);
	return true;
}

/* Lets the index grow by a table, for which it takes a segment if it needs one. */
static bool
grow(struct store_thread *thread, struct partition *part, uint64_t hash)
{
	spin_lock(&part->grow_lock);
	bool ready = index_table_ready(part);
	spin_unlock(&part->grow_lock);

	uint32_t segment = ready ? SEGMENT_NONE : alloc_index_segment(thread, part);
	spin_lock(&part->grow_lock);
	if (segment != SEGMENT_NONE && !index_table_ready(part)) {
		index_table_add(part, segment);
		segment = SEGMENT_NONE;
	}
	bool grown = index_grow(thread, part, hash);
	spin_unlock(&part->grow_lock);

	if (segment != SEGMENT_NONE)
		segment_give_index(part, segment);
	return grown;
}

bool
evict_index(struct store_thread *thread, struct partition *part, uint64_t hash, bool may_grow)
{
	return (may_grow && grow(thread, part, hash)) ||
	       (thread->store->evict && evict_from_line(thread, part, hash));
}

/* What background work should do: nothing alive goes while enough is free, or will be once readers have passed. */
static enum victim_kind
maintain_most(const struct store *store, const struct partition *part)
{
	uint32_t used = atomic_load_explicit(&part->used_len, memory_order_relaxed);
	uint32_t limbo = atomic_load_explicit(&part->limbo_len, memory_order_relaxed);
	uint32_t limit = atomic_load_explicit(&part->limit_len, memory_order_relaxed);
	uint32_t wanted = segment_reserve(part, store) + AHEAD_SEGMENTS +
	                  atomic_load_explicit(&store->registered, memory_order_relaxed);

	if (used + wanted <= limit + limbo)
		return VICTIM_DEAD;
	return store->evict ? VICTIM_EVICT : VICTIM_COMPACT;
}

/* One partition's share of background work; returns the budget left. */
static unsigned
maintain_partition(struct store_thread *thread, struct partition *part, unsigned budget)
{
	segment_reclaim(thread, part);
	while (budget > 0) {
		if (thread->job.kind == JOB_NONE &&
		    !job_begin(thread, part, maintain_most(thread->store, part), false) &&
		    !job_begin_crawl(thread, part))
			return budget;
		budget = job_run(thread, budget);
	}
	return 0;
}

bool
store_maintain(struct store_thread *thread, unsigned budget)
{
	struct store *store = thread->store;

	for (unsigned i = 0; i < store->partitions_len && budget > 0; i++)
		budget = maintain_partition(
		    thread, &store->partitions[(thread->id + i) % store->partitions_len], budget);
	return thread->job.kind != JOB_NONE;
}
