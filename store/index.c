/*
 * Lookups off the common path and all changes of the index but its growth. The layout and the rules are in
 * index.h.
 */
#include "store/index.h"

static bool
lines_find(const struct partition *part, const struct key_lines *lines, const struct store_key *key,
    struct index_hit *hit)
{
	uint32_t tag = hash_tag(part, key->hash);

	for (unsigned i = 0; i < LINES_OF_A_KEY; i++)
		if (bucket_find(part, lines->line[i], tag, key->bytes, key->len, hit))
			return true;
	return false;
}

/* Whether what is found by this hash has moved since the entry was read; the entry as it is now. */
static bool
entry_changed(const struct partition *part, uint64_t hash, uint32_t *entry)
{
	uint32_t before = *entry;

	*entry = directory_entry(part, hash);
	return *entry != before;
}

bool
index_find_rest(
    const struct partition *part, const struct store_key *key, uint32_t entry, struct index_hit *hit)
{
	do {
		struct key_lines lines = key_lines(part, table_pointer(part, entry), key->hash);
		if (lines_find(part, &lines, key, hit))
			return true;
	} while (entry_changed(part, key->hash, &entry));
	return false;
}

/* Bit i is set when slot i names the location: a hint, as bucket_match() is. */
static inline __attribute__((no_sanitize("thread"))) unsigned
bucket_match_location(const struct bucket *bucket, uint32_t location)
{
	const __m256i *lanes = (const __m256i *)(const void *)bucket;
	__m256i wanted = _mm256_set1_epi32((int)location);
	__m256i low = _mm256_cmpeq_epi32(_mm256_load_si256(lanes), wanted);
	__m256i high = _mm256_cmpeq_epi32(_mm256_load_si256(lanes + 1), wanted);

	atomic_signal_fence(memory_order_acquire);
	/* lanes 6 and 7 of the lower half are slots 0 and 1 */
	return (unsigned)_mm256_movemask_ps(_mm256_castsi256_ps(low)) >> 6 |
	       (unsigned)_mm256_movemask_ps(_mm256_castsi256_ps(high)) << 2;
}

static bool
bucket_find_location(
    const struct partition *part, struct bucket *bucket, uint64_t location, struct index_hit *hit)
{
	unsigned mask = bucket_match_location(bucket, (uint32_t)location);

	if (!mask)
		return false;
	*hit = (struct index_hit){
	    .line = bucket, .slot = (uint32_t)__builtin_ctz(mask), .item = location_pointer(part, location)};
	return slot_load(&bucket->slot[hit->slot]) == location;
}

static bool
table_find_location(const struct partition *part, struct bucket *table, uint64_t hash, uint64_t location,
    struct index_hit *hit)
{
	struct bucket *home = table + hash_home(part, hash);

	if (bucket_find_location(part, home, location, hit))
		return true;
	if (!control_displaced(atomic_load_explicit(&home->control, memory_order_acquire), hash))
		return false;
	struct key_lines lines = key_lines(part, table, hash);
	return bucket_find_location(part, lines.line[1], location, hit) ||
	       bucket_find_location(part, lines.line[2], location, hit);
}

bool
index_find_location(const struct partition *part, uint64_t hash, uint64_t location, struct index_hit *hit)
{
	uint32_t entry = directory_entry(part, hash);

	do
		if (table_find_location(part, table_pointer(part, entry), hash, location, hit))
			return true;
	while (entry_changed(part, hash, &entry));
	return false;
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
lines_find_owner(const struct partition *part, const struct key_lines *lines, uint32_t tag, uint32_t ordinal,
    uint64_t chunk_location, struct index_hit *hit)
{
	for (unsigned i = 0; i < LINES_OF_A_KEY; i++)
		for (unsigned mask = bucket_match(lines->line[i], tag); mask; mask &= mask - 1) {
			hit->line = lines->line[i];
			hit->slot = match_slot(mask);
			uint32_t location = slot_load(&hit->line->slot[hit->slot]);
			hit->item = location_pointer(part, location);
			if (location && item_owns_chunk(hit->item, ordinal, chunk_location))
				return true;
		}
	return false;
}

bool
index_find_owner(const struct partition *part, uint64_t hash, uint32_t ordinal, uint64_t chunk_location,
    struct index_hit *hit)
{
	uint32_t entry = directory_entry(part, hash);
	uint32_t tag = hash_tag(part, hash);

	do {
		struct key_lines lines = key_lines(part, table_pointer(part, entry), hash);
		if (lines_find_owner(part, &lines, tag, ordinal, chunk_location, hit))
			return true;
	} while (entry_changed(part, hash, &entry));
	return false;
}

void
bucket_lock(struct bucket *bucket, uint32_t *control)
{
	unsigned spins = 0;

	while (!bucket_try_lock(bucket, control))
		spin_pause(&spins);
}

void
index_lock_again(struct index_cursor *cursor)
{
	for (;;) {
		cursor->home = index_home(cursor->part, cursor->hash);
		bucket_lock(cursor->home, &cursor->control);
		if (index_home(cursor->part, cursor->hash) == cursor->home)
			return;
		index_unlock(cursor); /* the key went to another table meanwhile */
	}
}

/* The lines of a locked home. */
static struct key_lines
cursor_lines(const struct index_cursor *cursor)
{
	return key_lines(cursor->part, cursor->home - hash_home(cursor->part, cursor->hash), cursor->hash);
}

bool
index_seek_spilled(struct index_cursor *cursor, const struct store_key *key, struct index_hit *hit)
{
	struct key_lines lines = cursor_lines(cursor);

	return lines_find(cursor->part, &lines, key, hit);
}

bool
index_seek_location(struct index_cursor *cursor, uint64_t location, struct index_hit *hit)
{
	struct bucket *table = cursor->home - hash_home(cursor->part, cursor->hash);

	return table_find_location(cursor->part, table, cursor->hash, location, hit);
}

bool
bucket_claim(struct bucket *bucket, struct index_place place)
{
	for (unsigned s = 0; s < LINE_SLOTS; s++)
		if (atomic_load_explicit(&bucket->slot[s], memory_order_relaxed) == 0) {
			slot_fill(bucket, s, place);
			return true;
		}
	return false;
}

static unsigned
bucket_room(const struct bucket *bucket)
{
	unsigned room = 0;

	for (unsigned s = 0; s < LINE_SLOTS; s++)
		room += atomic_load_explicit(&bucket->slot[s], memory_order_relaxed) == 0;
	return room;
}

/* Several homes share a spill line, so their writers take turns. */
bool
spill_claim(struct bucket *spill, struct index_place place)
{
	uint32_t control;

	bucket_lock(spill, &control);
	bool claimed = bucket_claim(spill, place);
	bucket_unlock(spill, control);
	return claimed;
}

bool
lines_claim(const struct key_lines *lines, uint64_t hash, struct index_place place, uint32_t *control)
{
	if (bucket_claim(lines->line[0], place))
		return true;
	if (control_displaced(*control, hash) == CONTROL_COUNT_MAX)
		return false;
	unsigned emptier = bucket_room(lines->line[1]) >= bucket_room(lines->line[2]) ? 1 : 2;
	if (!spill_claim(lines->line[emptier], place) && !spill_claim(lines->line[3 - emptier], place))
		return false;
	*control += 1u << hash_count_shift(hash);
	return true;
}

bool
index_insert(struct index_cursor *cursor, struct index_place place)
{
	struct key_lines lines = cursor_lines(cursor);
	return lines_claim(&lines, cursor->hash, place, &cursor->control);
}

void
index_remove(struct index_cursor *cursor, struct index_hit *hit)
{
	atomic_store_explicit(&hit->line->slot[hit->slot], 0, memory_order_release);
	if (hit->line != cursor->home)
		cursor->control -= 1u << hash_count_shift(cursor->hash);
}

uint64_t
index_slot_hash(const struct store *store, const struct partition *part, uint64_t location)
{
	const struct item *item = location_pointer(part, location);
	uint64_t meta = item_meta(item);
	return hash_bytes(&store->hash, item_key(item, meta), meta_key_len(meta));
}
