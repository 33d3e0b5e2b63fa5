/*
 * Values that arrive in pieces. See fill.h.
 */
#include "store/fill.h"
#include "store/alloc.h"
#include "store/life.h"
#include "store/segment.h"

#include <stdlib.h>

/* Of a partition's segments, the share that open fills may keep from eviction. */
#define FILL_PART       2u
/* When they do, one that has taken longer than this loses what it has: no few slow senders may stop all others. */
#define FILL_PATIENCE_S 5u
#define ENTRIES_MIN     32u

static struct store_fill *
pool_get(struct store_thread *thread)
{
	struct store_fill *fill = thread->fills_free;

	if (fill) {
		thread->fills_free = fill->next;
		return fill;
	}
	return calloc(1, sizeof(*fill));
}

static void
pool_put(struct store_fill *fill)
{
	fill->next = fill->thread->fills_free;
	fill->thread->fills_free = fill;
}

void
fill_pool_free(struct store_thread *thread)
{
	while (thread->fills_free) {
		struct store_fill *fill = thread->fills_free;
		thread->fills_free = fill->next;
		free(fill->entries);
		free(fill);
	}
}

static bool
too_much_filled(const struct partition *part)
{
	return atomic_load_explicit(&part->filled, memory_order_relaxed) > part->segments_len / FILL_PART;
}

static struct chunk *
fill_chunk(const struct store_fill *fill, uint32_t ordinal)
{
	return location_pointer(fill->part, chunk_entry_location(fill->entries[ordinal]));
}

/* Ends the fill's hold on its segments; dead: its chunks did not become part of an item. */
static void
fill_release_chunks(struct store_fill *fill, bool dead)
{
	for (uint32_t i = 0; i < fill->entries_len; i++) {
		struct chunk *chunk = fill_chunk(fill, i);
		if (dead)
			segment_dead(fill->part, pointer_location(fill->part, chunk),
			    record_round((uint32_t)sizeof(*chunk) + chunk->bytes));
		alloc_fill_end(fill->part, chunk);
	}
}

/* Gives back all memory. */
static void
fill_release(struct store_fill *fill)
{
	/* The hold ends last: until then nobody empties the segment that is being written to. */
	if (fill->draft.item) {
		void *item = fill->draft.item;
		draft_abort(fill->thread, &fill->draft);
		if (!fill->chunked)
			alloc_fill_end(fill->part, item);
	}
	fill_release_chunks(fill, true);
}

/* ---- waiting for bytes: the thread's list, oldest first --------------------------------------- */

void
fill_wait_begin(struct store_fill *fill)
{
	struct store_thread *thread = fill->thread;

	fill->begun_s = thread->now_s;
	fill->waits = true;
	fill->newer = NULL;
	fill->older = thread->fills_newest;
	*(fill->older ? &fill->older->newer : &thread->fills_oldest) = fill;
	thread->fills_newest = fill;
}

void
fill_wait_end(struct store_fill *fill)
{
	struct store_thread *thread = fill->thread;

	if (!fill->waits)
		return;
	fill->waits = false;
	*(fill->older ? &fill->older->newer : &thread->fills_oldest) = fill->newer;
	*(fill->newer ? &fill->newer->older : &thread->fills_newest) = fill->older;
}

/* What it has is given back; the bytes still to come are swallowed. */
static void
fill_give_up(struct store_fill *fill)
{
	fill_wait_end(fill);
	fill_release(fill);
	fill->entries_len = fill->at = fill->at_taken = 0;
	fill->draft.item = NULL;
	fill->failed = true;
}

/* Whether open fills leave room for more; self: the one that asks, or NULL. */
static bool
fill_room(struct store_thread *thread, const struct partition *part, const struct store_fill *self)
{
	struct store_fill *fill = thread->fills_oldest, *newer;

	for (; fill && too_much_filled(part); fill = newer) {
		newer = fill->newer;
		if (thread->now_s - fill->begun_s < FILL_PATIENCE_S)
			break;
		if (fill->part == part && fill != self)
			fill_give_up(fill);
	}
	return !too_much_filled(part);
}

struct store_fill *
fill_begin(struct store_thread *thread, const struct store_key *key, const struct store_write *write,
    uint32_t value_bytes)
{
	struct partition *part = partition_of(thread->store, key->hash);
	struct store_fill *fill = fill_room(thread, part, NULL) ? pool_get(thread) : NULL;

	if (!fill) {
		COUNT(thread, no_memory);
		return NULL;
	}
	fill->thread = thread;
	fill->part = part;
	fill->draft.item = NULL;
	memcpy(fill->key_bytes, key->bytes, key->len);
	fill->key = (struct store_key){.bytes = fill->key_bytes, .len = key->len, .hash = key->hash};
	fill->write = *write;
	fill->value_bytes = value_bytes;
	fill->taken = 0;
	fill->chunked = draft_in_chunks(thread, key, write, value_bytes);
	fill->failed = fill->waits = false;
	fill->entries_len = fill->at = fill->at_taken = 0;
	if (fill->chunked)
		return fill;
	if (!draft_begin(thread, &fill->draft, &fill->key, &fill->write, value_bytes, 0, OPENS)) {
		pool_put(fill);
		return NULL;
	}
	alloc_fill_begin(part, fill->draft.item);
	return fill;
}

static bool
entries_reserve(struct store_fill *fill)
{
	if (fill->entries_len < fill->entries_max)
		return true;
	uint32_t max = fill->entries_max ? 2 * fill->entries_max : ENTRIES_MIN;
	uint64_t *entries = realloc(fill->entries, max * sizeof(*entries));
	if (!entries)
		return false;
	fill->entries = entries;
	fill->entries_max = max;
	return true;
}

/* `left`: bytes of the value that no chunk has room for yet. */
static struct chunk *
fill_extend(struct store_fill *fill, uint32_t left)
{
	if (!entries_reserve(fill) || !fill_room(fill->thread, fill->part, fill))
		return NULL;
	struct chunk_owner owner = {.class = draft_class(&fill->key, &fill->write, fill->value_bytes),
	    .expiry = expiry_of(fill->thread->store, fill->write.expires_s),
	    .hash = fill->key.hash};
	struct chunk *chunk = alloc_chunk(fill->thread, fill->part, &owner, fill->entries_len, left);
	if (!chunk)
		return NULL;
	fill->entries[fill->entries_len++] =
	    chunk_entry_make(pointer_location(fill->part, chunk), chunk->bytes);
	return chunk;
}

/* The chunk to write to, with room in it; NULL: no memory. */
static struct chunk *
fill_current(struct store_fill *fill)
{
	if (fill->at < fill->entries_len) {
		struct chunk *chunk = fill_chunk(fill, fill->at);
		if (fill->at_taken < chunk->bytes)
			return chunk;
		fill->at++;
		fill->at_taken = 0;
	}
	if (fill->at < fill->entries_len)
		return fill_chunk(fill, fill->at);
	return fill_extend(fill, fill->value_bytes - fill->taken);
}

static void
fill_take_chunked(struct store_fill *fill, const uint8_t *data, uint32_t bytes)
{
	while (bytes > 0 && !fill->failed) {
		struct chunk *chunk = fill_current(fill);
		if (!chunk) {
			fill->failed = true;
			break;
		}
		uint32_t take = chunk->bytes - fill->at_taken;
		if (take > bytes)
			take = bytes;
		memcpy(chunk->data + fill->at_taken, data, take);
		fill->at_taken += take;
		fill->taken += take;
		data += take;
		bytes -= take;
	}
	fill->taken += bytes; /* failed: the caller swallows the value all the same */
}

uint32_t
store_fill_append(struct store_fill *fill, const void *data, uint32_t bytes)
{
	uint32_t missing = fill->value_bytes - fill->taken;

	if (bytes > missing)
		bytes = missing;
	if (fill->chunked) {
		fill_take_chunked(fill, data, bytes);
	} else if (bytes > 0) {
		if (!fill->failed)
			memcpy(draft_value(&fill->draft) + fill->taken, data, bytes);
		fill->taken += bytes;
	}
	return bytes;
}

void
store_fill_about(
    const struct store_fill *fill, struct store_key *key, struct store_write *write, uint32_t *value_bytes)
{
	*key = fill->key;
	*write = fill->write;
	*value_bytes = fill->value_bytes;
}

uint32_t
store_fill_missing(const struct store_fill *fill)
{
	return fill->value_bytes - fill->taken;
}

/* The header of a chunked value whose chunks are all there. */
static bool
fill_make_item(struct store_fill *fill)
{
	struct draft *draft = &fill->draft;

	draft->item = NULL;
	struct item_shape shape = {.key_len = fill->key.len,
	    .chunks = fill->entries_len,
	    .client_flags = fill->write.client_flags,
	    .ext_cas = fill->write.cas_set};
	if (shape_bytes(&shape) > segment_bytes(fill->part))
		return false;
	if (!draft_begin(
	        fill->thread, draft, &fill->key, &fill->write, fill->value_bytes, fill->entries_len, OPENS)) {
		draft->item = NULL;
		return false;
	}
	memcpy(draft_chunks(draft)->entry, fill->entries, fill->entries_len * sizeof(*fill->entries));
	draft->total_bytes = alloc_item_bytes(draft->item);
	return true;
}

bool
fill_allocate(struct store_fill *fill)
{
	if (!fill->chunked)
		return true;
	for (uint32_t left = fill->value_bytes; left > 0;) {
		struct chunk *chunk = fill_extend(fill, left);
		if (!chunk)
			return false;
		left -= chunk->bytes;
	}
	return fill_make_item(fill);
}

void
fill_copy(const struct store_fill *from, struct store_fill *to)
{
	if (!from->chunked) {
		store_fill_append(to, draft_value(&from->draft), from->value_bytes);
		return;
	}
	for (uint32_t i = 0; i < from->entries_len; i++) {
		const struct chunk *chunk = fill_chunk(from, i);
		store_fill_append(to, chunk->data, chunk->bytes);
	}
}

void
fill_abort(struct store_fill *fill)
{
	fill_release(fill);
	pool_put(fill);
}

enum store_status
fill_publish(struct store_fill *fill, struct publish *publish)
{
	if (fill->failed || (fill->chunked && !fill->draft.item && !fill_make_item(fill))) {
		COUNT(fill->thread, no_memory);
		fill_abort(fill);
		return STORE_NO_MEMORY;
	}
	const void *item = fill->draft.item;
	enum store_status status = draft_publish(fill->thread, &fill->draft, &fill->key, publish);
	bool stored = status == STORE_OK || status == STORE_STALE;
	if (!fill->chunked)
		alloc_fill_end(fill->part, item);
	fill_release_chunks(fill, !stored);
	pool_put(fill);
	return status;
}
