/*
 * Memory for records: each thread appends to its own open segments, one for each class of worth (and group of
 * time to live in large stores), so that an allocation is an addition. Only when a segment is full does a
 * thread meet others: it seals that one and takes a free one, waiting for or doing eviction when there is
 * none.
 *
 * Memory is held by whoever allocated it until it is published in the index, or given back by alloc_undo().
 */
#ifndef WIRECACHE_STORE_ALLOC_H
#define WIRECACHE_STORE_ALLOC_H

#include "store/segment.h"

/* Chunks: at most 256 KiB; the end of a segment is left unused when less than this fits. */
#define CHUNK_BYTES_MAX (256u << 10)
#define CHUNK_BYTES_MIN 2048u
#define ALLOC_REST_MIN  (CHUNK_BYTES_MIN + (uint32_t)sizeof(struct chunk))

/* Octaves of size that classes distinguish: class 0 is an item of 2 MiB, class 16 one of 32 bytes. */
#define CLASS_SIZE_TOP 21u

/*
 * Class of an item: the octave of hits over size. An item of 2^n bytes without a hit is of class 21 - n; one
 * or two hits add one, three add two.
 */
static inline uint32_t
class_of(uint32_t bytes, uint32_t hits)
{
	uint32_t octave = 32 - (uint32_t)__builtin_clz(bytes | 1);
	uint32_t raised = CLASS_SIZE_TOP + (hits + 1) / 2;
	if (octave >= raised)
		return 0;
	return raised - octave < CLASSES ? raised - octave : CLASSES - 1;
}

/* Which open segment an item of this class and expiry goes to. */
static inline uint32_t
open_of(const struct store_thread *thread, uint32_t class, uint32_t expiry)
{
	uint32_t slot = class * thread->classes / CLASSES;
	if (thread->ttl_groups == 1)
		return slot;
	/* Groups: under 16 s, 64 s, 256 s, 17 min, 68 min, the rest and never. */
	uint32_t left = expiry > thread->now_expiry ? expiry - thread->now_expiry : 1;
	uint32_t group = expiry ? (uint32_t)(31 - __builtin_clz(left | 15)) / 2 - 1 : TTL_GROUPS - 1;
	if (group >= TTL_GROUPS)
		group = TTL_GROUPS - 1;
	return group * CLASSES + slot;
}

/*
 * Sets how finely this thread separates items: the more memory a thread has, the more segments it keeps open. Seals
 * what no longer fits. Between operations only.
 */
void alloc_shape(struct store_thread *thread);

/* Takes a new segment for `open` and allocates there; NULL when no memory can be had. */
void *alloc_refill(
    struct store_thread *thread, struct partition *part, uint32_t open, uint32_t class, uint32_t bytes);

/* bytes: a multiple of 8, at most a segment. NULL: no memory. May empty segments: hold no lock. */
static inline void *
alloc_record(
    struct store_thread *thread, struct partition *part, uint32_t open, uint32_t class, uint32_t bytes)
{
	struct open_segment *to = &thread->open[part->index][open];

	if (to->tail + bytes > segment_bytes(part))
		return alloc_refill(thread, part, open, class, bytes);
	void *record = to->base + to->tail;
	to->tail += bytes;
	return record;
}

/* What is left of an open segment; 0 when there is none. */
static inline uint32_t
alloc_rest(const struct store_thread *thread, const struct partition *part, uint32_t open)
{
	return segment_bytes(part) - thread->open[part->index][open].tail;
}

/* For records that move out of a segment being emptied: from the reserve, never waits. */
void *alloc_moving(
    struct store_thread *thread, struct partition *part, uint32_t open, uint32_t class, uint32_t bytes);

/* A segment for the index, for good. SEGMENT_NONE: no memory. */
uint32_t alloc_index_segment(struct store_thread *thread, struct partition *part);

/* Gives back what was not published. */
void alloc_undo(
    struct store_thread *thread, struct partition *part, uint32_t open, void *record, uint32_t bytes);

/*
 * A chunk of up to `want` value bytes, for an owner with this class, expiry and hash; its segment counts a fill. NULL:
 * no memory.
 */
struct chunk_owner {
	uint32_t class;
	uint32_t expiry;
	uint64_t hash;
};
struct chunk *alloc_chunk(struct store_thread *thread, struct partition *part,
    const struct chunk_owner *owner, uint32_t ordinal, uint32_t want);

/* Keeps a segment from being chosen as a victim while bytes still arrive. */
void alloc_fill_begin(struct partition *part, const void *record);
void alloc_fill_end(struct partition *part, const void *record);

/* Tells a chunk's segment how long it is needed; a touch later does not: who empties the segment asks the owner. */
void alloc_chunk_expiry(struct partition *part, const struct chunk *chunk, uint32_t expiry);

/* Tells the segment of an expiry: at publishing and touching. */
void alloc_widen_expiry(struct segment *seg, uint32_t latest);

static inline void
alloc_note_expiry(struct partition *part, const struct item *item, uint32_t expiry)
{
	struct segment *seg = segment_of(part, pointer_location(part, item));
	uint32_t latest = expiry ? expiry : UINT32_MAX;

	if (__builtin_expect(atomic_load_explicit(&seg->expires_max, memory_order_relaxed) < latest ||
	                         atomic_load_explicit(&seg->expires_min, memory_order_relaxed) > latest,
	        0))
		alloc_widen_expiry(seg, latest);
}

/* An item left the index: its bytes, chunks included, are dead. Counts it out. */
void alloc_dead(struct store_thread *thread, struct partition *part, const struct item *item);

/* Bytes of an item with its chunks. */
uint64_t alloc_item_bytes(const struct item *item);

/* Seals open segments in which all has expired: only what is sealed comes back. Once a second. */
void alloc_seal_expired(struct store_thread *thread);

/* Seals all open segments of a thread. */
void alloc_close(struct store_thread *thread);

#endif
