/*
 * Lookups off the common path and all changes of the index. The layout and the rules are in index.h.
 */
#include "store/index.h"
#include "store/evict.h"
#include "store/segment.h"

#include <errno.h>

#define LINES_OF_A_HOME 3u

struct home_lines {
	struct bucket *line[LINES_OF_A_HOME]; /* home, neighbour, spill */
};

static struct home_lines
home_lines_of(const struct partition *part, struct bucket *table, uint64_t hash)
{
	struct bucket *group = table_group(part, table, hash);
	uint32_t line = hash_line(hash);
	struct home_lines lines = {{group + line, group_neighbour(group, line), group + GROUP_HOMES}};
	return lines;
}

bool
index_find_rest(
    const struct partition *part, const struct store_key *key, uint32_t entry, struct index_hit *hit)
{
	uint64_t tag = hash_tag(part, key->hash);

	for (;;) {
		struct home_lines lines = home_lines_of(part, table_pointer(part, entry), key->hash);
		for (unsigned i = 0; i < LINES_OF_A_HOME; i++)
			if (bucket_find(part, lines.line[i], tag, key->bytes, key->len, hit))
				return true;
		/* A split publishes its new table before it clears the old one: a miss counts only if none
		 * happened. */
		uint32_t again = directory_entry(part, key->hash);
		if (again == entry)
			return false;
		entry = again;
	}
}

static bool
lines_seek_location(
    const struct partition *part, const struct home_lines *lines, uint64_t location, struct index_hit *hit)
{
	for (unsigned i = 0; i < LINES_OF_A_HOME; i++)
		for (unsigned s = 0; s < BUCKET_SLOTS; s++) {
			uint64_t word = slot_load(&lines->line[i]->slot[s]);
			if (slot_location(word) == location) {
				hit->slot = &lines->line[i]->slot[s];
				hit->word = word;
				hit->item = location_pointer(part, location);
				return true;
			}
		}
	return false;
}

bool
index_find_location(const struct partition *part, uint64_t hash, uint64_t location, struct index_hit *hit)
{
	uint32_t entry = directory_entry(part, hash);

	for (;;) {
		struct home_lines lines = home_lines_of(part, table_pointer(part, entry), hash);
		if (lines_seek_location(part, &lines, location, hit))
			return true;
		uint32_t again = directory_entry(part, hash);
		if (again == entry)
			return false;
		entry = again;
	}
}

static bool
item_owns_chunk(const struct item *item, uint32_t ordinal, uint64_t chunk_location)
{
	uint64_t meta = item_meta(item);

	if (!(meta & ITEM_CHUNKED))
		return false;
	const struct chunk_list *list = item_chunks(item, meta);
	return ordinal < list->len && chunk_entry_location(list->entry[ordinal]) == chunk_location;
}

static bool
lines_find_owner(const struct partition *part, const struct home_lines *lines, uint64_t tag, uint32_t ordinal,
    uint64_t chunk_location, struct index_hit *hit)
{
	for (unsigned i = 0; i < LINES_OF_A_HOME; i++)
		for (unsigned mask = bucket_match(lines->line[i], tag); mask; mask &= mask - 1) {
			hit->slot = &lines->line[i]->slot[__builtin_ctz(mask)];
			hit->word = slot_load(hit->slot);
			hit->item = location_pointer(part, slot_location(hit->word));
			if (slot_location(hit->word) && item_owns_chunk(hit->item, ordinal, chunk_location))
				return true;
		}
	return false;
}

bool
index_find_owner(const struct partition *part, uint64_t hash, uint32_t ordinal, uint64_t chunk_location,
    struct index_hit *hit)
{
	uint32_t entry = directory_entry(part, hash);

	for (;;) {
		struct home_lines lines = home_lines_of(part, table_pointer(part, entry), hash);
		if (lines_find_owner(part, &lines, hash_tag(part, hash), ordinal, chunk_location, hit))
			return true;
		uint32_t again = directory_entry(part, hash);
		if (again == entry)
			return false;
		entry = again;
	}
}

static void
bucket_lock(struct bucket *bucket, uint64_t *control)
{
	unsigned spins = 0;

	for (;;) {
		uint64_t seen = atomic_load_explicit(&bucket->control, memory_order_relaxed);
		/* acquire pairs with the release in bucket_unlock() */
		if (!(seen & CONTROL_LOCK) &&
		    atomic_compare_exchange_weak_explicit(&bucket->control, &seen, seen | CONTROL_LOCK,
		        memory_order_acquire, memory_order_relaxed)) {
			*control = seen;
			return;
		}
		spin_pause(&spins);
	}
}

static void
bucket_unlock(struct bucket *bucket, uint64_t control)
{
	atomic_store_explicit(&bucket->control, control, memory_order_release);
}

void
index_lock(struct partition *part, uint64_t hash, struct index_cursor *cursor)
{
	cursor->part = part;
	cursor->hash = hash;
	for (;;) {
		cursor->home = index_home(part, hash);
		bucket_lock(cursor->home, &cursor->control);
		if (index_home(part, hash) == cursor->home)
			return;
		bucket_unlock(cursor->home, cursor->control); /* the table split while this waited */
	}
}

void
index_unlock(struct index_cursor *cursor)
{
	bucket_unlock(cursor->home, cursor->control);
}

/* The lines of a locked home. */
static struct home_lines
cursor_lines(const struct index_cursor *cursor)
{
	uint32_t line = hash_line(cursor->hash);
	struct bucket *group = cursor->home - line;
	struct home_lines lines = {{cursor->home, group_neighbour(group, line), group + GROUP_HOMES}};
	return lines;
}

bool
index_seek(struct index_cursor *cursor, const struct store_key *key, struct index_hit *hit)
{
	uint64_t tag = hash_tag(cursor->part, cursor->hash);

	if (bucket_find(cursor->part, cursor->home, tag, key->bytes, key->len, hit))
		return true;
	if (cursor->control < CONTROL_DISPLACED)
		return false;
	struct home_lines lines = cursor_lines(cursor);
	return bucket_find(cursor->part, lines.line[1], tag, key->bytes, key->len, hit) ||
	       bucket_find(cursor->part, lines.line[2], tag, key->bytes, key->len, hit);
}

bool
index_seek_location(struct index_cursor *cursor, uint64_t location, struct index_hit *hit)
{
	struct home_lines lines = cursor_lines(cursor);

	return lines_seek_location(cursor->part, &lines, location, hit);
}

static bool
bucket_claim(struct bucket *bucket, uint64_t word)
{
	for (unsigned s = 0; s < BUCKET_SLOTS; s++) {
		uint64_t empty = 0;
		if (atomic_load_explicit(&bucket->slot[s], memory_order_relaxed) == 0 &&
		    /* release publishes the item: pairs with slot_load() */
		    atomic_compare_exchange_strong_explicit(
		        &bucket->slot[s], &empty, word, memory_order_release, memory_order_relaxed))
			return true;
	}
	return false;
}

static bool
lines_claim(const struct home_lines *lines, uint64_t word, uint64_t *control)
{
	if (bucket_claim(lines->line[0], word))
		return true;
	if (!bucket_claim(lines->line[1], word | SLOT_DISPLACED) &&
	    !bucket_claim(lines->line[2], word | SLOT_DISPLACED))
		return false;
	*control += CONTROL_DISPLACED;
	return true;
}

bool
index_insert(struct index_cursor *cursor, uint64_t word)
{
	struct home_lines lines = cursor_lines(cursor);
	return lines_claim(&lines, word, &cursor->control);
}

void
index_swing(struct index_cursor *cursor, struct index_hit *hit, uint64_t word)
{
	(void)cursor;
	/* release publishes the item: pairs with slot_load(). A reader's bump of the old word fails or is
	 * overwritten. */
	atomic_store_explicit(hit->slot, word | (hit->word & SLOT_DISPLACED), memory_order_release);
}

void
index_remove(struct index_cursor *cursor, struct index_hit *hit)
{
	atomic_store_explicit(hit->slot, 0, memory_order_release);
	if (hit->word & SLOT_DISPLACED)
		cursor->control -= CONTROL_DISPLACED;
}

/* ---- tables ----------------------------------------------------------------------------------- */

bool
index_table_ready(const struct partition *part)
{
	return part->table_segment != SEGMENT_NONE && part->table_next < segment_bytes(part);
}

void
index_table_add(struct partition *part, uint32_t segment)
{
	part->table_segment = segment;
	part->table_next = 0;
}

static struct bucket *
table_carve(struct partition *part)
{
	uint32_t bytes = 1u << part->table_shift;
	void *table = segment_base(part, part->table_segment) + part->table_next;

	part->table_next += bytes;
	memset(table, 0, bytes);
	return table;
}

static uint32_t
table_entry(const struct partition *part, const struct bucket *table)
{
	return (uint32_t)((uint64_t)((const uint8_t *)table - part->base) >> 12);
}

static uint32_t
table_lines(const struct partition *part)
{
	return (part->group_mask + 1) * GROUP_LINES;
}

static bool
line_is_home(uint32_t line)
{
	return line % GROUP_LINES != GROUP_HOMES;
}

static uint32_t
directory_len(const struct partition *part)
{
	return 1u << (64 - part->directory_shift);
}

int
index_init(struct partition *part)
{
	uint32_t each = 1u << (part->depth_max - part->depth_min); /* directory entries a table */

	for (uint32_t at = 0; at < directory_len(part); at += each) {
		if (!index_table_ready(part)) {
			uint32_t segment = segment_take_index(part, 0);
			if (segment == SEGMENT_NONE)
				return -ENOMEM;
			index_table_add(part, segment);
		}
		uint32_t entry = table_entry(part, table_carve(part));
		for (uint32_t i = 0; i < each; i++)
			atomic_store_explicit(&part->directory[at + i], entry, memory_order_relaxed);
	}
	return 0;
}

const char *
index_walk(const struct partition *part, index_visit *visit, void *context)
{
	uint32_t last = UINT32_MAX;

	/* The entries of one table are neighbours. */
	for (uint32_t at = 0; at < directory_len(part); at++) {
		uint32_t entry = atomic_load_explicit(&part->directory[at], memory_order_acquire);
		if (entry == last)
			continue;
		last = entry;
		struct bucket *table = table_pointer(part, entry);
		for (uint32_t line = 0; line < table_lines(part); line++) {
			const char *broken = visit(context, part, table, &table[line], line_is_home(line));
			if (broken)
				return broken;
		}
	}
	return NULL;
}

/* ---- splitting -------------------------------------------------------------------------------- */

struct split {
	struct partition *part;
	struct bucket *old, *new;
	uint32_t first,
	    len; /* entries of the old table in the directory; the upper half becomes the new one's */
	uint64_t tag_bit; /* in a slot: set goes to the new table */
};

static bool
split_plan(struct partition *part, uint64_t hash, struct split *split)
{
	uint32_t at = (uint32_t)(hash >> part->directory_shift);
	uint32_t entry = directory_entry(part, hash);
	uint32_t len = 1;

	/* A table's entries are an aligned power of two: double while both ends still name it. */
	while (2 * len <= 1u << (part->depth_max - part->depth_min)) {
		uint32_t first = at & ~(2 * len - 1);
		if (atomic_load_explicit(&part->directory[first], memory_order_relaxed) != entry ||
		    atomic_load_explicit(&part->directory[first + 2 * len - 1], memory_order_relaxed) !=
		        entry)
			break;
		len *= 2;
	}
	if (len == 1)
		return false;
	split->part = part;
	split->old = table_pointer(part, entry);
	split->first = at & ~(len - 1);
	split->len = len;
	/* Bit log2(len) - 1 of the directory's index; the tag begins depth_max - depth_min bits above its
	 * end. */
	uint32_t below = part->depth_max - part->depth_min - (uint32_t)__builtin_ctz(len);
	split->tag_bit = 1ull << (SLOT_TAG_SHIFT + SLOT_TAG_BITS - 1 - below);
	return true;
}

static void
split_lock_all(const struct split *split)
{
	uint64_t control;

	for (uint32_t line = 0; line < table_lines(split->part); line++)
		if (line_is_home(line))
			bucket_lock(&split->old[line], &control);
}

static void
split_unlock_all(const struct split *split)
{
	for (uint32_t line = 0; line < table_lines(split->part); line++)
		if (line_is_home(line)) {
			_Atomic uint64_t *control = &split->old[line].control;
			uint64_t locked = atomic_load_explicit(control, memory_order_relaxed);
			bucket_unlock(&split->old[line], locked & ~(uint64_t)CONTROL_LOCK);
		}
}

/* Items in their home line keep line and slot. */
static void
split_copy_homes(const struct split *split)
{
	for (uint32_t line = 0; line < table_lines(split->part); line++)
		for (unsigned s = 0; s < BUCKET_SLOTS; s++) {
			uint64_t word = slot_load(&split->old[line].slot[s]);
			if (word & split->tag_bit && !(word & SLOT_DISPLACED))
				atomic_store_explicit(&split->new[line].slot[s], word, memory_order_relaxed);
		}
}

uint64_t
index_slot_hash(const struct store *store, const struct partition *part, uint64_t word)
{
	const struct item *item = location_pointer(part, slot_location(word));
	uint64_t meta = item_meta(item);
	return hash_bytes(&store->hash, item_key(item, meta), meta_key_len(meta));
}

/* Another thread may have made room meanwhile. */
static bool
lines_have_room(const struct home_lines *lines)
{
	for (unsigned i = 0; i < LINES_OF_A_HOME; i++)
		for (unsigned s = 0; s < BUCKET_SLOTS; s++)
			if (slot_load(&lines->line[i]->slot[s]) == 0)
				return true;
	return false;
}

/* Displaced items need their hash to find their home; with half the items gone most fit there now. */
static void
split_copy_displaced(struct store_thread *thread, const struct split *split)
{
	for (uint32_t line = 0; line < table_lines(split->part); line++)
		for (unsigned s = 0; s < BUCKET_SLOTS; s++) {
			uint64_t word = slot_load(&split->old[line].slot[s]);
			if (!(word & split->tag_bit) || !(word & SLOT_DISPLACED))
				continue;
			uint64_t hash = index_slot_hash(thread->store, split->part, word);
			struct home_lines new = home_lines_of(split->part, split->new, hash);
			uint64_t control = atomic_load_explicit(&new.line[0]->control, memory_order_relaxed);
			if (!lines_claim(&new, word & ~SLOT_DISPLACED, &control))
				evict_forget(
				    thread, split->part, location_pointer(split->part, slot_location(word)));
			atomic_store_explicit(&new.line[0]->control, control, memory_order_relaxed);
		}
}

static void
split_publish(const struct split *split)
{
	uint32_t entry = table_entry(split->part, split->new);

	for (uint32_t i = split->len / 2; i < split->len; i++)
		/* release pairs with directory_entry(): the new table is complete */
		atomic_store_explicit(&split->part->directory[split->first + i], entry, memory_order_release);
}

/* After publishing: a count that has fallen before would hide a displaced item that is not to be found elsewhere yet. */
static void
split_clear(const struct store *store, const struct split *split)
{
	for (uint32_t line = 0; line < table_lines(split->part); line++)
		for (unsigned s = 0; s < BUCKET_SLOTS; s++) {
			uint64_t word = slot_load(&split->old[line].slot[s]);
			if (!(word & split->tag_bit))
				continue;
			/* release: who sees the slot empty or the count sees the new directory entry, too */
			atomic_store_explicit(&split->old[line].slot[s], 0, memory_order_release);
			if (!(word & SLOT_DISPLACED))
				continue;
			uint64_t hash = index_slot_hash(store, split->part, word);
			struct home_lines old = home_lines_of(split->part, split->old, hash);
			atomic_fetch_sub_explicit(
			    &old.line[0]->control, CONTROL_DISPLACED, memory_order_release);
		}
}

bool
index_split(struct store_thread *thread, struct partition *part, uint64_t hash)
{
	struct split split;

	struct home_lines lines = home_lines_of(part, table_pointer(part, directory_entry(part, hash)), hash);
	if (lines_have_room(&lines))
		return true;
	if (!split_plan(part, hash, &split) || !index_table_ready(part))
		return false;
	split.new = table_carve(part);
	split_lock_all(&split);
	split_copy_homes(&split);
	split_copy_displaced(thread, &split);
	split_publish(&split);
	split_clear(thread->store, &split);
	split_unlock_all(&split);
	COUNT(thread, index_splits);
	return true;
}
