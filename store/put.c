/*
 * See put.h.
 */
#include "store/put.h"
#include "store/alloc.h"
#include "store/draft.h"
#include "store/index.h"
#include "store/life.h"

/* memcpy() of what small items are made of, inline: never touches what lies outside of len bytes. */
static inline void
copy_bytes(uint8_t *to, const uint8_t *from, uint32_t len)
{
	struct step {
		uint64_t word[2];
	} step;

	if (__builtin_expect(len < sizeof(step), 0)) {
		for (uint32_t i = 0; i < len; i++)
			to[i] = from[i];
		return;
	}
	for (uint32_t at = 0; at + sizeof(step) < len; at += sizeof(step)) {
		memcpy(&step, from + at, sizeof(step));
		memcpy(to + at, &step, sizeof(step));
	}
	memcpy(&step, from + len - sizeof(step), sizeof(step));
	memcpy(to + len - sizeof(step), &step, sizeof(step));
}

/* All but the word that publishing writes; returns the meta without its sequence. */
static inline uint64_t
plain_write(const struct store_thread *thread, struct item *item, const struct store_key *key,
    const struct store_write *write, const void *value, uint32_t value_bytes)
{
	uint8_t *at = item->body;
	uint32_t flags = write->key_binary ? STORE_ITEM_KEY_BINARY : 0;

	item->value_len = (uint16_t)value_bytes;
	atomic_store_explicit(&item->access, (uint16_t)thread->now_s, memory_order_relaxed);
	if (write->client_flags) {
		memcpy(at, &write->client_flags, sizeof(write->client_flags));
		at += sizeof(write->client_flags);
		flags |= ITEM_CFLAGS;
	}
	copy_bytes(at, key->bytes, key->len);
	copy_bytes(at + key->len, value, value_bytes);
	return meta_make(0, key->len, flags);
}

/* The index has no room in the key's lines: draft.c makes some, or gives the memory back. */
static __attribute__((noinline)) enum store_status
publish_generally(struct store_thread *thread, struct draft *draft, const struct store_key *key,
    const struct store_write *write, uint64_t *cas)
{
	struct publish publish = {.kind = DRAFT_WRITE, .write = write};
	enum store_status status = draft_publish(thread, draft, key, &publish);

	if (cas)
		*cas = publish.cas;
	COUNT_ADD(thread, sets, status == STORE_OK);
	return status;
}

/* Of an item that has left the index: alloc_dead(), for those of one piece inline. */
static inline void
plain_dead(struct store_thread *thread, struct partition *part, const struct item *item, uint64_t meta)
{
	if (__builtin_expect(meta & ITEM_CHUNKED, 0)) {
		alloc_dead(thread, part, item);
		return;
	}
	const uint32_t bytes = item_record_bytes(item, meta);
	segment_dead(part, pointer_location(part, item), bytes);
	COUNT(thread, items_out);
	COUNT_ADD(thread, bytes_out, bytes);
}

enum store_status
put_plain(struct store_thread *thread, const struct store_key *key, const struct store_write *write,
    const void *value, uint32_t value_bytes, uint64_t *cas)
{
	struct partition *part = partition_for(thread, key->hash);
	const struct item_shape shape = {
	    .key_len = key->len, .value_bytes = value_bytes, .client_flags = write->client_flags};
	const uint32_t bytes = shape_bytes(&shape), expiry = expiry_of(thread->store, write->expires_s);
	const uint32_t class = class_of(bytes, 0), open = open_of(thread, class, expiry);
	struct item *item = alloc_record(thread, part, open, class, bytes);
	struct index_cursor cursor;
	struct index_hit hit;

	if (__builtin_expect(!item, 0))
		return STORE_NO_MEMORY;
	const uint64_t meta = plain_write(thread, item, key, write, value, value_bytes);
	index_lock(part, key->hash, &cursor);
	const bool found = index_seek(&cursor, key, &hit);
	const uint64_t old = found ? item_meta(hit.item) : 0;
	const uint64_t flush = sequence_prepare(thread, meta_sequence(old));
	const bool dead = found && life_by(thread, old, item_expiry(hit.item), flush) != ITEM_ALIVE;
	const uint32_t hits = found ? item_hits(hit.item) : 0;
	const struct index_place place = index_place(part, key->hash, item, bytes);
	const uint64_t sequence = sequence_take(thread);

	/* Relaxed: the slot publishes them. */
	atomic_store_explicit(&item->meta, meta | sequence << ITEM_SEQUENCE_SHIFT, memory_order_relaxed);
	atomic_store_explicit(&item->expiry, hits << ITEM_HITS_SHIFT | expiry, memory_order_relaxed);
	if (__builtin_expect(found, 1)) {
		index_swing(&hit, place);
	} else if (__builtin_expect(!index_insert(&cursor, place), 0)) {
		index_unlock(&cursor);
		atomic_store_explicit(&item->meta, meta, memory_order_relaxed);
		struct draft draft = {
		    .part = part, .item = item, .bytes = bytes, .open = open, .total_bytes = bytes};
		return publish_generally(thread, &draft, key, write, cas);
	}
	alloc_note_expiry(part, item, expiry);
	index_unlock(&cursor);
	if (found)
		plain_dead(thread, part, hit.item, old);
	if (cas)
		*cas = thread->store->cas ? sequence : 0;
	COUNT(thread, total_items);
	COUNT(thread, items_in);
	COUNT_ADD(thread, bytes_in, bytes);
	COUNT_ADD(thread, reclaimed, dead);
	COUNT(thread, sets);
	return STORE_OK;
}
