/*
 * What all reads share: filling a view from an item, counting, prefetching. Inline: a get spends a good part of its
 * instructions here.
 */
#ifndef WIRECACHE_STORE_READ_H
#define WIRECACHE_STORE_READ_H

#include "store/index.h"
#include "store/life.h"
#include "store/segment.h"

/* meta and expiry: the item's at one moment, before this access is counted. */
static inline void
read_view(const struct store_thread *thread, const struct partition *part, const struct item *item,
    uint64_t meta, uint32_t expiry, struct store_view *view)
{
	const struct store *store = thread->store;
	uint16_t accessed = atomic_load_explicit(&item->access, memory_order_relaxed);

	view->value = meta & ITEM_CHUNKED ? NULL : item_value(item, meta);
	view->value_bytes = item_value_bytes(item, meta);
	view->client_flags = item_client_flags(item, meta);
	view->cas = item_visible_cas(store, item, meta);
	view->expires_s = expires_of(store, expiry);
	view->last_access_s = thread->now_s - (uint16_t)(thread->now_s - accessed);
	view->item_flags = meta_flags(meta) & ITEM_PUBLIC_FLAGS;
	view->cold_ = part->index;
	view->item_ = item;
	view->meta_ = meta;
}

/* Remembers where a view that is handed out lies. */
static inline void
read_hold(struct store_thread *thread, const struct partition *part, const struct item *item, uint64_t meta)
{
	thread->holding = true;
	segment_hold(thread, part, pointer_location(part, item));
	if (!(meta & ITEM_CHUNKED))
		return;
	const struct chunk_list *list = item_chunks(item, meta);
	for (uint32_t i = 0; i < list->len; i++)
		segment_hold(thread, part, chunk_entry_location(list->entry[i]));
}

/* Fetched flag, access time and hit counter. */
static inline void
read_count_access(const struct store_thread *thread, struct index_hit *hit, uint64_t meta)
{
	uint16_t now = (uint16_t)thread->now_s;

	/* Each is written only when it changes, so that hot items stay shared between caches. All relaxed:
	 * hints. */
	if (!(meta & STORE_ITEM_FETCHED))
		atomic_fetch_or_explicit(&hit->item->meta, STORE_ITEM_FETCHED, memory_order_relaxed);
	if (atomic_load_explicit(&hit->item->access, memory_order_relaxed) != now)
		atomic_store_explicit(&hit->item->access, now, memory_order_relaxed);
	item_count_hit(hit->item);
}

/* life: why the item that is there does not count; ITEM_ALIVE: none is there. */
static inline void
read_count_miss(struct store_thread *thread, enum item_life life)
{
	COUNT(thread, misses);
	if (life == ITEM_EXPIRED)
		COUNT(thread, get_expired);
	if (life == ITEM_FLUSHED)
		COUNT(thread, get_flushed);
}

/* found: whether hit is one. Is it alive, in the moment that *meta and *expiry then tell? If not, counts the miss. */
static inline bool
read_alive(
    struct store_thread *thread, bool found, const struct index_hit *hit, uint64_t *meta, uint32_t *expiry)
{
	enum item_life life = ITEM_ALIVE;

	if (found) {
		*meta = item_moment(hit->item, expiry);
		life = life_by(thread, *meta, *expiry, flush_latest(thread->store));
		if (__builtin_expect(life == ITEM_ALIVE, 1))
			return true;
	}
	read_count_miss(thread, life);
	return false;
}

/* Asks for the items that these matches in a line name, all their lines. */
static inline void
read_prefetch_matches(const struct partition *part, const struct bucket *line, unsigned mask)
{
	for (; mask; mask &= mask - 1) {
		uint32_t slot = match_slot(mask);
		const char *item = location_pointer(part, slot_load(&line->slot[slot]));
		uint32_t lines = atomic_load_explicit(&line->label[slot], memory_order_relaxed) &
		                 ((1u << LABEL_LINES) - 1);
		for (uint32_t i = 0; i <= lines; i++)
			__builtin_prefetch(item + i * STORE_LINE_BYTES);
	}
}

/*
 * Asks for what the tags in a home line say may be the item. When none does and something of the key's kind is displaced,
 * asks for the spill lines and returns true: read_prefetch_spilled() goes on when they have come.
 */
static inline bool
read_prefetch_item(const struct partition *part, uint64_t hash, const struct bucket *home)
{
	unsigned mask = bucket_match(home, hash_tag(part, hash));

	if (!mask && control_displaced(atomic_load_explicit(&home->control, memory_order_relaxed), hash)) {
		struct key_lines lines =
		    key_lines(part, (struct bucket *)(uintptr_t)home - hash_home(part, hash), hash);
		__builtin_prefetch(lines.line[1]);
		__builtin_prefetch(lines.line[2]);
		return true;
	}
	read_prefetch_matches(part, home, mask);
	return false;
}

static inline void
read_prefetch_spilled(const struct partition *part, uint64_t hash, const struct bucket *home)
{
	struct key_lines lines =
	    key_lines(part, (struct bucket *)(uintptr_t)home - hash_home(part, hash), hash);

	for (unsigned i = 1; i < LINES_OF_A_KEY; i++)
		read_prefetch_matches(part, lines.line[i], bucket_match(lines.line[i], hash_tag(part, hash)));
}

#endif
