/*
 * Drafts and publishing. See draft.h. The conditions are memcached's (do_store_item as observed from
 * outside): a CAS is compared first, then the mode decides; expired and flushed items count as absent.
 */
#include "store/draft.h"
#include "store/alloc.h"
#include "store/evict.h"
#include "store/index.h"
#include "store/life.h"
#include "store/read.h"

/* An inline record may take an eighth of a segment: what is left open at a segment's end stays small. */
#define INLINE_PART           8u
/* memcached's item: header 48, CAS 8, the key's NUL, the value's CR LF; 4 more for client flags that are not
 * 0. */
#define MEMCACHED_ITEM_BYTES  59u
#define MEMCACHED_FLAGS_BYTES 4u

/* Room is made in full index lines this often before a write is refused; and so often by letting the index grow,
 * which parts the keys of a line in one case of four. */
#define INDEX_TRIES 32u
#define GROW_TRIES  4u

uint32_t
draft_inline_max(const struct partition *part)
{
	uint32_t most = segment_bytes(part) / INLINE_PART;
	return most < ITEM_INLINE_VALUE_MAX ? most : ITEM_INLINE_VALUE_MAX;
}

static struct item_shape
shape_in_one(const struct store_key *key, const struct store_write *write, uint32_t value_bytes)
{
	return (struct item_shape){.key_len = key->len,
	    .value_bytes = value_bytes,
	    .client_flags = write->client_flags,
	    .ext_cas = write->cas_set};
}

uint32_t
draft_class(const struct store_key *key, const struct store_write *write, uint32_t value_bytes)
{
	struct item_shape shape = shape_in_one(key, write, value_bytes);
	return class_of(shape_bytes(&shape), 0);
}

bool
draft_in_chunks(const struct store_thread *thread, const struct store_key *key,
    const struct store_write *write, uint32_t value_bytes)
{
	const struct partition *part = partition_of(thread->store, key->hash);
	struct item_shape shape = shape_in_one(key, write, value_bytes);
	uint32_t bytes = shape_bytes(&shape);

	if (bytes <= ALLOC_REST_MIN)
		return false;
	if (bytes > draft_inline_max(part))
		return true;
	uint32_t open = open_of(thread, class_of(bytes, 0), expiry_of(thread->store, write->expires_s));
	uint32_t rest = alloc_rest(thread, part, open);
	return rest < bytes && rest >= ALLOC_REST_MIN;
}

uint64_t
draft_memcached_bytes(uint32_t key_len, uint32_t client_flags, uint64_t value_bytes)
{
	return value_bytes + key_len + MEMCACHED_ITEM_BYTES + (client_flags ? MEMCACHED_FLAGS_BYTES : 0);
}

bool
draft_size_allowed(const struct store *store, uint32_t key_len, uint32_t client_flags, uint64_t value_bytes)
{
	return draft_memcached_bytes(key_len, client_flags, value_bytes) <= store->item_max_bytes;
}

static void
draft_write_header(struct store_thread *thread, const struct draft *draft, const struct store_key *key,
    const struct store_write *write, uint32_t len, uint32_t flags)
{
	struct item *item = draft->item;
	uint8_t *at = item->body;

	atomic_store_explicit(&item->meta, meta_make(0, key->len, flags), memory_order_relaxed);
	atomic_store_explicit(
	    &item->expiry, expiry_of(thread->store, write->expires_s), memory_order_relaxed);
	item->value_len = (uint16_t)len;
	atomic_store_explicit(&item->access, (uint16_t)thread->now_s, memory_order_relaxed);
	if (flags & ITEM_EXT_CAS) {
		memcpy(at, &write->cas_new, 8);
		at += 8;
	}
	if (flags & ITEM_CFLAGS) {
		memcpy(at, &write->client_flags, 4);
		at += 4;
	}
	memcpy(at, key->bytes, key->len);
}

bool
draft_begin(struct store_thread *thread, struct draft *draft, const struct store_key *key,
    const struct store_write *write, uint32_t value_bytes, uint32_t chunks, uint32_t open)
{
	struct item_shape shape = shape_in_one(key, write, value_bytes);
	uint32_t class = class_of(shape_bytes(&shape), 0);

	shape.chunks = chunks;
	draft->part = partition_for(thread, key->hash);
	draft->bytes = shape_bytes(&shape);
	draft->total_bytes = draft->bytes;
	draft->open =
	    open < OPENS ? open : open_of(thread, class, expiry_of(thread->store, write->expires_s));
	draft->item = alloc_record(thread, draft->part, draft->open, class, draft->bytes);
	if (!draft->item)
		return false;
	uint32_t flags = (write->cas_set ? ITEM_EXT_CAS : 0) | (write->client_flags ? ITEM_CFLAGS : 0) |
	                 (chunks ? ITEM_CHUNKED : 0) | (write->key_binary ? STORE_ITEM_KEY_BINARY : 0);
	draft_write_header(thread, draft, key, write, chunks ? chunks : value_bytes, flags);
	if (chunks) {
		struct chunk_list *list = draft_chunks(draft);
		list->value_bytes = value_bytes;
		list->len = chunks;
	}
	return true;
}

uint8_t *
draft_value(const struct draft *draft)
{
	return (uint8_t *)(uintptr_t)item_value(draft->item, item_meta(draft->item));
}

struct chunk_list *
draft_chunks(const struct draft *draft)
{
	return (struct chunk_list *)(void *)draft_value(draft);
}

void
draft_abort(struct store_thread *thread, struct draft *draft)
{
	alloc_undo(thread, draft->part, draft->open, draft->item, draft->bytes);
}

/* Compares the write's CAS with the old item's: STORE_OK, STORE_STALE (older, and meta's I allows it) or
 * EXISTS. */
static enum store_status
decide_cas(const struct store *store, const struct store_write *write, const struct item *old)
{
	uint64_t cas = item_visible_cas(store, old, item_meta(old));

	if (write->cas == cas)
		return STORE_OK;
	return write->invalidate && write->cas < cas ? STORE_STALE : STORE_EXISTS;
}

/* old: the item alive under the key, or NULL. */
static enum store_status
decide_write(const struct store *store, const struct store_write *write, const struct item *old)
{
	bool check = write->cas_check || write->mode == STORE_CAS;

	switch (write->mode) {
	case STORE_ADD:
		return old ? STORE_NOT_STORED : STORE_OK;
	case STORE_APPEND:
	case STORE_PREPEND: /* only when vivified: there was nothing to append to */
		return old ? STORE_EXISTS : STORE_OK;
	case STORE_REPLACE:
		if (!old)
			return check ? STORE_NOT_FOUND : STORE_NOT_STORED;
		return check ? decide_cas(store, write, old) : STORE_OK;
	default:
		if (!check)
			return STORE_OK;
		return old ? decide_cas(store, write, old) : STORE_NOT_FOUND;
	}
}

/* Flags and expiry that a derived or stale item keeps from the one it replaces. */
static void
inherit(struct draft *draft, const struct item *old, const struct publish *publish, enum store_status status)
{
	enum draft_kind kind = publish->kind;
	uint64_t meta = item_meta(draft->item);
	uint64_t from = item_meta(old);

	if (kind == DRAFT_COUNTED)
		/* memcached rewrites a number of the same length in place; a longer one is a new item there. */
		meta |= item_value_bytes(draft->item, meta) == item_value_bytes(old, from)
		            ? from & ITEM_PUBLIC_FLAGS
		            : 0;
	else if (kind == DRAFT_INVALIDATED)
		meta |= STORE_ITEM_STALE | (from & (STORE_ITEM_FETCHED | STORE_ITEM_KEY_BINARY));
	else if (status == STORE_STALE)
		meta |= STORE_ITEM_STALE | (from & STORE_ITEM_TOKEN_SENT);
	else if (kind != DRAFT_APPENDED)
		return;
	atomic_store_explicit(&draft->item->meta, meta, memory_order_relaxed);
	if (!publish->expires_set)
		item_expiry_set(draft->item, item_expiry(old));
}

/* Under the bucket's lock, after sequence_prepare(). hit: what the slot holds now, alive or not; NULL for a new key.
 * False: no free slot. */
static bool
swing(struct store_thread *thread, struct draft *draft, struct index_cursor *cursor, struct index_hit *hit,
    struct publish *publish)
{
	struct item *item = draft->item;
	uint64_t meta = item_meta(item);
	uint64_t sequence = sequence_take(thread);
	struct index_place place = index_place(draft->part, cursor->hash, item, draft->bytes);

	if (hit)
		item_hits_set(item, item_hits(hit->item));
	atomic_store_explicit(&item->meta, meta | sequence << ITEM_SEQUENCE_SHIFT, memory_order_relaxed);
	publish->cas = item_visible_cas(thread->store, item, item_meta(item));
	if (hit)
		index_swing(hit, place);
	else if (!index_insert(cursor, place))
		return false;
	alloc_note_expiry(draft->part, item, item_expiry(item));
	return true;
}

static void
account(struct store_thread *thread, struct draft *draft, const struct item *replaced, bool reclaimed)
{
	COUNT(thread, total_items);
	COUNT(thread, items_in);
	COUNT_ADD(thread, bytes_in, draft->total_bytes);
	if (replaced)
		alloc_dead(thread, draft->part, replaced);
	if (reclaimed)
		COUNT(thread, reclaimed);
}

enum publish_try { TRY_DONE, TRY_AGAIN_DERIVED, TRY_INDEX_FULL };

static enum publish_try
publish_try(struct store_thread *thread, struct draft *draft, const struct store_key *key,
    struct publish *publish, enum store_status *status)
{
	struct index_cursor cursor;
	struct index_hit hit;
	enum publish_try tried = TRY_DONE;
	bool swung = false;

	index_lock(draft->part, key->hash, &cursor);
	bool found = index_seek(&cursor, key, &hit);
	uint64_t meta = found ? item_meta(hit.item) : 0;
	uint64_t flush = sequence_prepare(thread, meta_sequence(meta));
	bool alive = found && life_by(thread, meta, item_expiry(hit.item), flush) == ITEM_ALIVE;
	const struct item *old = alive ? hit.item : NULL;
	if (publish->kind == DRAFT_WRITE) {
		*status = decide_write(thread->store, publish->write, old);
	} else {
		*status = STORE_OK;
		if (!old || old != publish->from || meta_sequence(item_meta(old)) != publish->from_sequence)
			tried = TRY_AGAIN_DERIVED;
	}
	if (tried == TRY_DONE && (*status == STORE_OK || *status == STORE_STALE)) {
		if (old)
			inherit(draft, old, publish, *status);
		swung = swing(thread, draft, &cursor, found ? &hit : NULL, publish);
		if (!swung)
			tried = TRY_INDEX_FULL;
	}
	index_unlock(&cursor);
	if (swung)
		account(thread, draft, found ? hit.item : NULL, found && !alive);
	else if (tried == TRY_DONE)
		draft_abort(thread, draft);
	return tried;
}

/* Makes room in the index for a draft. Its segment stays held: see draft_publish(). */
static bool
draft_make_room(
    struct store_thread *thread, const struct draft *draft, uint64_t hash, bool derived, bool grow)
{
	bool holding = thread->holding, holding_any = thread->holding_any;

	/* This thread may quiesce meanwhile: not while it compares with an item it has read. */
	thread->holding = holding || derived;
	thread->holding_any = holding_any || derived;
	bool room = evict_index(thread, draft->part, hash, grow);
	thread->holding = holding;
	thread->holding_any = holding_any;
	return room;
}

static enum store_status
publish_tries(
    struct store_thread *thread, struct draft *draft, const struct store_key *key, struct publish *publish)
{
	enum store_status status = STORE_NO_MEMORY;

	for (unsigned tries = 0; tries < INDEX_TRIES; tries++) {
		switch (publish_try(thread, draft, key, publish, &status)) {
		case TRY_DONE:
			return status;
		case TRY_AGAIN_DERIVED:
			COUNT(thread, publish_retries);
			publish->again = true;
			draft_abort(thread, draft);
			return STORE_EXISTS;
		case TRY_INDEX_FULL:
			/* Moving items may seal the segment that the draft lies in: nobody may empty it meanwhile. */
			if (tries == 0)
				alloc_fill_begin(draft->part, draft->item);
			publish->held = true;
		}
		if (!draft_make_room(thread, draft, key->hash, publish->from != NULL,
		        tries < GROW_TRIES || !thread->store->evict))
			break;
	}
	COUNT(thread, no_memory);
	draft_abort(thread, draft);
	return STORE_NO_MEMORY;
}

enum store_status
draft_publish(
    struct store_thread *thread, struct draft *draft, const struct store_key *key, struct publish *publish)
{
	publish->again = publish->held = false;
	enum store_status status = publish_tries(thread, draft, key, publish);
	if (publish->held)
		alloc_fill_end(draft->part, draft->item);
	return status;
}
