/*
 * memcached's semantics of storing: what set, add, replace, append, prepend, cas, delete, touch and meta's
 * invalidate and win do to an item. incr and decr are in delta.c. Conditions are decided in draft.c under the
 * bucket's lock.
 */
#include "store/ops.h"
#include "store/alloc.h"
#include "store/evict.h"
#include "store/fill.h"
#include "store/join.h"
#include "store/life.h"
#include "store/put.h"
#include "store/read.h"

#define EXPTIME_RELATIVE_MAX_S (60 * 60 * 24 * 30)

uint32_t
store_expiry(int32_t exptime, uint32_t now_s)
{
	if (exptime == 0)
		return STORE_EXPTIME_NEVER;
	if (exptime < 0)
		return STORE_EXPIRED;
	return exptime > EXPTIME_RELATIVE_MAX_S ? (uint32_t)exptime : now_s + (uint32_t)exptime;
}

bool
ops_find(struct store_thread *thread, const struct store_key *key, struct index_hit *hit)
{
	return index_find(partition_of(thread->store, key->hash), key, hit) &&
	       item_life(thread, hit->item, item_meta(hit->item)) == ITEM_ALIVE;
}

bool
ops_lock(struct store_thread *thread, const struct store_key *key, struct index_cursor *cursor,
    struct index_hit *hit)
{
	index_lock(partition_for(thread, key->hash), key->hash, cursor);
	if (index_seek(cursor, key, hit) && item_life(thread, hit->item, item_meta(hit->item)) == ITEM_ALIVE)
		return true;
	index_unlock(cursor);
	return false;
}

enum store_status
ops_stored(
    struct store_thread *thread, enum store_status status, const struct publish *publish, uint64_t *cas)
{
	if (status == STORE_OK || status == STORE_STALE) {
		COUNT(thread, sets);
		if (cas)
			*cas = publish->cas;
	}
	return status;
}

static enum store_status
put_whole(struct store_thread *thread, const struct store_key *key, const struct store_write *write,
    const void *value, uint32_t value_bytes, uint64_t *cas)
{
	struct publish publish = {.kind = DRAFT_WRITE, .write = write};
	enum store_status status;

	if (!draft_in_chunks(thread, key, write, value_bytes)) {
		struct draft draft;
		if (!draft_begin(thread, &draft, key, write, value_bytes, 0, OPENS))
			return STORE_NO_MEMORY;
		if (value_bytes)
			memcpy(draft_value(&draft), value, value_bytes);
		status = draft_publish(thread, &draft, key, &publish);
	} else {
		struct store_fill *fill = fill_begin(thread, key, write, value_bytes);
		if (!fill)
			return STORE_NO_MEMORY;
		store_fill_append(fill, value, value_bytes);
		status = fill_publish(fill, &publish);
	}
	return ops_stored(thread, status, &publish, cas);
}

static bool
mode_joins(enum store_mode mode)
{
	return mode == STORE_APPEND || mode == STORE_PREPEND;
}

enum store_status
store_put(struct store_thread *thread, const struct store_key *key, const struct store_write *write,
    const void *value, uint32_t value_bytes, uint64_t *cas)
{
	if (!draft_size_allowed(thread->store, key->len, write->client_flags, value_bytes)) {
		COUNT(thread, too_large);
		return STORE_TOO_LARGE;
	}
	if (__builtin_expect(put_is_plain(write, value_bytes), 1))
		return put_plain(thread, key, write, value, value_bytes, cas);
	if (!mode_joins(write->mode))
		return put_whole(thread, key, write, value, value_bytes, cas);
	struct join join = {
	    .kind = DRAFT_APPENDED, .key = key, .write = write, .bytes = value, .len = value_bytes};
	enum store_status status = join_put(thread, &join, cas);
	while (status == STORE_NOT_FOUND && write->vivify) {
		status = put_whole(thread, key, write, value, value_bytes, cas);
		if (status == STORE_EXISTS) /* someone else created it just now */
			status = join_put(thread, &join, cas);
	}
	return status == STORE_NOT_FOUND ? STORE_NOT_STORED : status;
}

/* ---- values in pieces ------------------------------------------------------------------------- */

enum store_status
store_reserve(struct store_thread *thread, const struct store_key *key, const struct store_write *write,
    uint32_t value_bytes, struct store_fill **fill)
{
	*fill = NULL;
	if (!draft_size_allowed(thread->store, key->len, write->client_flags, value_bytes)) {
		COUNT(thread, too_large);
		return STORE_TOO_LARGE;
	}
	*fill = fill_begin(thread, key, write, value_bytes);
	if (!*fill)
		return STORE_NO_MEMORY;
	fill_wait_begin(*fill);
	return STORE_OK;
}

static enum store_status
commit_whole(struct store_thread *thread, struct store_fill *fill, uint64_t *cas)
{
	const struct store_write write = fill->write;
	struct publish publish = {.kind = DRAFT_WRITE, .write = &write};
	struct store_key key = fill->key;
	uint8_t key_bytes[STORE_KEY_MAX];

	memcpy(key_bytes, key.bytes, key.len);
	key.bytes = key_bytes;
	enum store_status status = fill_publish(fill, &publish);
	if (status == STORE_NO_MEMORY && write.mode == STORE_SET)
		store_delete(thread, &key, 0);
	return ops_stored(thread, status, &publish, cas);
}

/* The item of an append that found none. The fill stays: who comes too late must append after all. */
static enum store_status
commit_copy(struct store_thread *thread, const struct store_fill *fill, uint64_t *cas)
{
	struct publish publish = {.kind = DRAFT_WRITE, .write = &fill->write};
	struct store_fill *copy = fill_begin(thread, &fill->key, &fill->write, fill->value_bytes);

	if (!copy)
		return STORE_NO_MEMORY;
	if (!fill_allocate(copy)) {
		fill_abort(copy);
		return STORE_NO_MEMORY;
	}
	fill_copy(fill, copy);
	return ops_stored(thread, fill_publish(copy, &publish), &publish, cas);
}

enum store_status
store_fill_commit(struct store_thread *thread, struct store_fill *fill, uint64_t *cas)
{
	assert(fill->taken == fill->value_bytes);
	fill_wait_end(fill);
	if (fill->failed || !mode_joins(fill->write.mode))
		return commit_whole(thread, fill, cas);
	struct join join = {.kind = DRAFT_APPENDED,
	    .key = &fill->key,
	    .write = &fill->write,
	    .source = fill,
	    .len = fill->value_bytes};
	enum store_status status = join_put(thread, &join, cas);
	while (status == STORE_NOT_FOUND && fill->write.vivify) {
		status = commit_copy(thread, fill, cas);
		if (status == STORE_EXISTS) /* someone else created it just now */
			status = join_put(thread, &join, cas);
	}
	fill_abort(fill);
	return status == STORE_NOT_FOUND ? STORE_NOT_STORED : status;
}

void
store_fill_abort(struct store_thread *thread, struct store_fill *fill)
{
	(void)thread;
	fill_wait_end(fill);
	fill_abort(fill);
}

/* ---- changes in place ------------------------------------------------------------------------- */

/* Takes the item out of the index if its CAS is this one, or any for 0. What is left to do is with its memory. */
static enum store_status
ops_remove(struct store_thread *thread, const struct store_key *key, uint64_t cas, struct partition **part,
    struct item **item)
{
	struct index_cursor cursor;
	struct index_hit hit;

	if (!ops_lock(thread, key, &cursor, &hit))
		return STORE_NOT_FOUND;
	bool match = cas == 0 || cas == item_visible_cas(thread->store, hit.item, item_meta(hit.item));
	if (match)
		index_remove(&cursor, &hit);
	index_unlock(&cursor);
	*part = cursor.part;
	*item = hit.item;
	return match ? STORE_OK : STORE_EXISTS;
}

enum store_status
store_delete(struct store_thread *thread, const struct store_key *key, uint64_t cas)
{
	struct partition *part;
	struct item *item;
	enum store_status status = ops_remove(thread, key, cas, &part, &item);

	if (status == STORE_OK) {
		alloc_dead(thread, part, item);
		COUNT(thread, deletes);
	}
	return status;
}

enum store_status
store_touch(
    struct store_thread *thread, const struct store_key *key, uint32_t expires_s, struct store_view *view)
{
	struct index_cursor cursor;
	struct index_hit hit;

	if (!ops_lock(thread, key, &cursor, &hit)) {
		COUNT(thread, touch_misses);
		return STORE_NOT_FOUND;
	}
	uint64_t meta = item_meta(hit.item);
	uint32_t expiry = expiry_of(thread->store, expires_s);
	/* The segment first: it must not be taken for expired while one of its items is not. */
	alloc_note_expiry(cursor.part, hit.item, expiry);
	item_expiry_set(hit.item, expiry);
	if (view) {
		read_view(thread, cursor.part, hit.item, meta, expiry, view);
		read_hold(thread, cursor.part, hit.item, meta);
	}
	read_count_access(thread, &hit, meta);
	index_unlock(&cursor);
	COUNT(thread, touch_hits);
	return STORE_OK;
}

/* Under the lock, after sequence_prepare(): stale under a new sequence, while readers may be setting FETCHED. */
static void
meta_raise(struct store_thread *thread, struct item *item)
{
	uint64_t seen = item_meta(item);
	uint64_t sequence = sequence_take(thread);
	uint64_t raised;

	do {
		uint32_t flags = (meta_flags(seen) | STORE_ITEM_STALE) & ~STORE_ITEM_TOKEN_SENT;
		raised = meta_make(sequence, meta_key_len(seen), flags);
		/* release pairs with item_moment() */
	} while (!atomic_compare_exchange_weak_explicit(
	    &item->meta, &seen, raised, memory_order_release, memory_order_relaxed));
}

/* The least that invalidating promises: nobody takes the item for fresh. */
static enum store_status
give_up(struct store_thread *thread, const struct store_key *key, uint64_t cas)
{
	struct partition *part;
	struct item *item;
	enum store_status status = ops_remove(thread, key, cas, &part, &item);

	if (status == STORE_OK)
		evict_forget(thread, part, item);
	return status;
}

/* More changes than the one word that can in place: another item takes the place of this one. */
static enum store_status
invalidate_copy(struct store_thread *thread, const struct store_key *key, uint64_t cas, uint64_t cas_given,
    const uint32_t *expires_s)
{
	struct store_write write = {.mode = STORE_APPEND,
	    .cas = cas,
	    .cas_check = cas != 0,
	    .cas_set = cas_given != 0,
	    .cas_new = cas_given,
	    .expires_s = expires_s ? *expires_s : STORE_EXPTIME_NEVER};
	struct join join = {.kind = DRAFT_INVALIDATED,
	    .key = key,
	    .write = &write,
	    .bytes = (const uint8_t *)"",
	    .expires_set = expires_s != NULL};

	enum store_status status = join_put(thread, &join, NULL);
	return status == STORE_NO_MEMORY ? give_up(thread, key, cas) : status;
}

/* Only the meta word changes. False: more would have to, and nothing did. */
static bool
invalidate_in_place(
    struct store_thread *thread, const struct store_key *key, uint64_t cas, enum store_status *status)
{
	struct index_cursor cursor;
	struct index_hit hit;
	bool in_place = true;

	index_lock(partition_for(thread, key->hash), key->hash, &cursor);
	bool found = index_seek(&cursor, key, &hit);
	uint64_t meta = found ? item_meta(hit.item) : 0;
	uint64_t flush = sequence_prepare(thread, meta_sequence(meta));
	if (!found || life_by(thread, meta, item_expiry(hit.item), flush) != ITEM_ALIVE) {
		*status = STORE_NOT_FOUND;
	} else if (cas && cas != item_visible_cas(thread->store, hit.item, meta)) {
		*status = STORE_EXISTS;
	} else if (meta & ITEM_EXT_CAS) {
		in_place = false;
	} else {
		meta_raise(thread, hit.item);
		*status = STORE_OK;
	}
	index_unlock(&cursor);
	return in_place;
}

enum store_status
store_invalidate(struct store_thread *thread, const struct store_key *key, uint64_t cas, uint64_t cas_given,
    const uint32_t *expires_s)
{
	enum store_status status;

	if (!cas_given && !expires_s && invalidate_in_place(thread, key, cas, &status))
		return status;
	return invalidate_copy(thread, key, cas, cas_given, expires_s);
}

bool
store_win(struct store_thread *thread, const struct store_key *key, const struct store_view *view)
{
	struct index_cursor cursor;
	struct index_hit hit;
	bool won = false;

	if (!ops_lock(thread, key, &cursor, &hit))
		return false;
	/* Same sequence: the item as it was viewed, moved or not. Another: someone has recached it already. */
	if (meta_sequence(item_meta(hit.item)) == meta_sequence(view->meta_))
		won =
		    !(atomic_fetch_or_explicit(&hit.item->meta, STORE_ITEM_TOKEN_SENT, memory_order_relaxed) &
		        STORE_ITEM_TOKEN_SENT);
	index_unlock(&cursor);
	return won;
}
