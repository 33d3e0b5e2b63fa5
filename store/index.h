/*
 * The index of a partition: a directory of tables, which grow in number one by one.
 *
 *   hash   63 ...                                                         31..22      21..0
 *          | region | tag: 14 bits, the upper 10 of which choose an entry | partition | home line |
 *                     of the region's part of the directory               (internal.h)
 *
 *   directory: 1024 entries a region ---> table: home lines, then one spill line to every nine of them
 *
 *   line   0         4                                24                                       64
 *          +---------+---------+---- ... ----+---------+---------+----- ... -----+--------+
 *          | control | label 0 | label 1 ... | label 9 | slot 0  | slot 1    ... | slot 9 |
 *          +---------+---------+---- ... ----+---------+---------+----- ... -----+--------+
 *          control: bit 0 the writer's lock; bits 1..30 ten counts of three bits: displaced items
 *          label:   tag 14 | lines of the item to prefetch, less one, 2
 *          slot:    location 32 (8-byte units); 0: empty
 *
 * An item lives in its home line or, when that is full, in one of two spill lines that its hash names: the
 * emptier. Its home then counts it, in the one of ten counts that the hash names; so a miss reads one line
 * unless an item of the same tenth is displaced.
 *
 * Growing. A table whose lines are full for a key gives a seventh of its entries of the directory to the newest
 * table of the region, until that has as many as others; then there is a new one. Which items go along is in the
 * tag: no item is read, except displaced ones. Of those that stay as many go home as there is room now. The index
 * takes segments as it grows, so small items get the index they need and large ones do not pay for it. A table
 * is memory / 4096, within 64 KiB and 256 KiB: giving takes tens to hundreds of microseconds, in which only the
 * writers of its keys wait.
 *
 * Concurrency. Readers lock nothing. Label and slot are two words, and the label is a hint: what counts is
 * the slot, loaded with acquire, and the key in the item that it names. Whoever fills a slot writes the label
 * first, so a reader that sees the slot but an older label has begun before. Writers lock the key's home
 * line; a slot is filled, changed and cleared under the lock of its item's home, in a spill line filled under
 * that line's lock as well. Growing locks all homes of the table that gives. An item changes its line while
 * growing only, and every entry of the directory that it is found by changes after the item is in its new
 * place and before it has left the old one: the table, or at least the generation. So a miss counts only if
 * the entry is still the same.
 */
#ifndef WIRECACHE_STORE_INDEX_H
#define WIRECACHE_STORE_INDEX_H

#include "store/internal.h"

#define LINE_SLOTS      10u
#define SPILL_PART      10u /* of a table's lines, one of so many is a spill line */
#define TABLE_SHIFT_MIN 16u
#define TABLE_SHIFT_MAX 18u
#define REGION_BITS     10u /* entries of a region: bits of the tag */
#define REGION_ENTRIES  (1u << REGION_BITS)
#define HOME_BITS       22u /* of the hash choose the home line */

#define CONTROL_LOCK       1u
#define CONTROL_COUNTS     10u
#define CONTROL_COUNT_BITS 3u
#define CONTROL_COUNT_MAX  7u

#define TAG_BITS    14u
#define LABEL_LINES 2u /* bits */

/* An entry of the directory: table's offset in the arena in units of 4 KiB, 23 bits | generation 9. */
#define ENTRY_GENERATION_BITS 9u

struct bucket {
	_Atomic uint32_t control;
	_Atomic uint16_t label[LINE_SLOTS];
	_Atomic uint32_t slot[LINE_SLOTS];
};
static_assert(sizeof(struct bucket) == STORE_LINE_BYTES, "a bucket is one line");

/* Where an item was found. Valid while the finder does not quiesce. */
struct index_hit {
	struct bucket *line;
	uint32_t slot; /* number in it */
	struct item *item;
};

/* What a slot is filled with: an item, and its label. */
struct index_place {
	uint32_t location;
	uint16_t label;
};

/* A locked home line. */
struct index_cursor {
	struct partition *part;
	struct bucket *home;
	uint64_t hash;
	uint32_t control; /* to be stored when unlocking */
};

static inline uint32_t
hash_tag(const struct partition *part, uint64_t hash)
{
	return (uint32_t)(hash >> part->tag_shift) & ((1u << TAG_BITS) - 1);
}

static inline uint32_t
label_tag(uint16_t label)
{
	return label >> LABEL_LINES;
}

/* For an item of record_bytes. */
static inline struct index_place
index_place(const struct partition *part, uint64_t hash, const struct item *item, uint32_t record_bytes)
{
	/* The lines that it lies in, one more than it fills when it begins within one. */
	uint32_t lines =
	    (uint32_t)(((uintptr_t)item % STORE_LINE_BYTES + record_bytes - 1) / STORE_LINE_BYTES);
	struct index_place place = {.location = (uint32_t)pointer_location(part, item),
	    .label = (uint16_t)(hash_tag(part, hash) << LABEL_LINES | (lines > 3 ? 3 : lines))};
	return place;
}

static inline uint32_t
directory_entry(const struct partition *part, uint64_t hash)
{
	/* acquire pairs with the release in index_grow.c */
	return atomic_load_explicit(&part->directory[hash >> part->directory_shift], memory_order_acquire);
}

static inline struct bucket *
table_pointer(const struct partition *part, uint32_t entry)
{
	return (struct bucket *)(void *)(part->base + ((uint64_t)(entry >> ENTRY_GENERATION_BITS) << 12));
}

static inline uint32_t
hash_home(const struct partition *part, uint64_t hash)
{
	return (uint32_t)((hash & ((1u << HOME_BITS) - 1)) * part->homes >> HOME_BITS);
}

static inline struct bucket *
index_home(const struct partition *part, uint64_t hash)
{
	return table_pointer(part, directory_entry(part, hash)) + hash_home(part, hash);
}

/* The bit in a control word where the count begins that covers this hash. The home takes the bits above. */
static inline uint32_t
hash_count_shift(uint64_t hash)
{
	return 1 + ((uint32_t)(hash & 31) * CONTROL_COUNTS >> 5) * CONTROL_COUNT_BITS;
}

static inline uint32_t
control_displaced(uint32_t control, uint64_t hash)
{
	return control >> hash_count_shift(hash) & CONTROL_COUNT_MAX;
}

static inline uint32_t
slot_load(const _Atomic uint32_t *slot)
{
	/* acquire pairs with the release that published the item */
	return atomic_load_explicit(slot, memory_order_acquire);
}

/*
 * Bit 2i is set when label i carries the tag; empty slots may be among them. One vector load, each lane of
 * which the processor reads whole: a hint that TSan does not look at, since who uses a slot loads it with
 * slot_load(). The fence keeps the compiler from moving it behind later loads, which on x86 is all an acquire
 * takes.
 */
static inline __attribute__((no_sanitize("thread"))) unsigned
bucket_match(const struct bucket *bucket, uint32_t tag)
{
	__m256i lanes = _mm256_load_si256((const __m256i *)(const void *)bucket);
	__m256i equal =
	    _mm256_cmpeq_epi16(_mm256_srli_epi16(lanes, LABEL_LINES), _mm256_set1_epi16((short)tag));
	unsigned mask = (unsigned)_mm256_movemask_epi8(equal);

	atomic_signal_fence(memory_order_acquire);
	return mask >> 4 & 0x55555; /* lanes 0 and 1 are the control word, those above 11 are slots */
}

static inline uint32_t
match_slot(unsigned mask)
{
	return (uint32_t)__builtin_ctz(mask) >> 1;
}

static inline bool
bucket_find(const struct partition *part, struct bucket *bucket, uint32_t tag, const uint8_t *key,
    uint32_t key_len, struct index_hit *hit)
{
	for (unsigned mask = bucket_match(bucket, tag); mask; mask &= mask - 1) {
		uint32_t slot = match_slot(mask);
		uint32_t location = slot_load(&bucket->slot[slot]);
		struct item *item = location_pointer(part, location);
		if (location && item_key_equals(item, item_meta(item), key, key_len)) {
			*hit = (struct index_hit){.line = bucket, .slot = slot, .item = item};
			return true;
		}
	}
	return false;
}

/* The spill lines of a key with displaced items of its kind, and the check that nothing has moved. */
bool index_find_rest(
    const struct partition *part, const struct store_key *key, uint32_t entry, struct index_hit *hit);

/* Lock-free lookup. */
static inline bool
index_find(const struct partition *part, const struct store_key *key, struct index_hit *hit)
{
	uint32_t entry = directory_entry(part, key->hash);
	struct bucket *home = table_pointer(part, entry) + hash_home(part, key->hash);

	if (bucket_find(part, home, hash_tag(part, key->hash), key->bytes, key->len, hit))
		return true;
	uint32_t control = atomic_load_explicit(&home->control, memory_order_acquire);
	if (!control_displaced(control, key->hash) && directory_entry(part, key->hash) == entry)
		return false;
	return index_find_rest(part, key, entry, hit);
}

/*
 * The same when the home was looked up a little earlier, without a store_quiesce() since. If its table gave the item
 * away meanwhile, what it still holds is what it held then.
 */
static inline bool
index_find_at(const struct partition *part, const struct store_key *key, const struct bucket *home,
    struct index_hit *hit)
{
	return bucket_find(part, (struct bucket *)(uintptr_t)home, hash_tag(part, key->hash), key->bytes,
	           key->len, hit) ||
	       index_find(part, key, hit);
}

/* Lock-free: the slot of the record at this location, if it is still in the index under this hash. */
bool index_find_location(
    const struct partition *part, uint64_t hash, uint64_t location, struct index_hit *hit);
/* Lock-free: the chunked item of this hash whose list names the chunk; for the owner of a chunk. */
bool index_find_owner(const struct partition *part, uint64_t hash, uint32_t ordinal, uint64_t chunk_location,
    struct index_hit *hit);

/* Locks a key's home line; the spin, and what to do when the key has gone to another table meanwhile. */
void index_lock_again(struct index_cursor *cursor);

static inline bool
bucket_try_lock(struct bucket *bucket, uint32_t *control)
{
	*control = atomic_load_explicit(&bucket->control, memory_order_relaxed);
	/* acquire pairs with the release in bucket_unlock() */
	return !(*control & CONTROL_LOCK) &&
	       atomic_compare_exchange_weak_explicit(&bucket->control, control, *control | CONTROL_LOCK,
	           memory_order_acquire, memory_order_relaxed);
}

static inline void
bucket_unlock(struct bucket *bucket, uint32_t control)
{
	atomic_store_explicit(&bucket->control, control, memory_order_release);
}

static inline void
index_unlock(struct index_cursor *cursor)
{
	bucket_unlock(cursor->home, cursor->control);
}

static inline void
index_lock(struct partition *part, uint64_t hash, struct index_cursor *cursor)
{
	cursor->part = part;
	cursor->hash = hash;
	cursor->home = index_home(part, hash);
	if (__builtin_expect(!bucket_try_lock(cursor->home, &cursor->control), 0))
		index_lock_again(cursor);
	else if (__builtin_expect(index_home(part, hash) != cursor->home, 0)) {
		index_unlock(cursor);
		index_lock_again(cursor);
	}
}

/* Under the cursor's lock. */
bool index_seek_spilled(struct index_cursor *cursor, const struct store_key *key, struct index_hit *hit);

static inline bool
index_seek(struct index_cursor *cursor, const struct store_key *key, struct index_hit *hit)
{
	if (bucket_find(
	        cursor->part, cursor->home, hash_tag(cursor->part, cursor->hash), key->bytes, key->len, hit))
		return true;
	return control_displaced(cursor->control, cursor->hash) && index_seek_spilled(cursor, key, hit);
}

bool index_seek_location(struct index_cursor *cursor, uint64_t location, struct index_hit *hit);
/* False when home and spill lines are full. */
bool index_insert(struct index_cursor *cursor, struct index_place place);

/* The label first: who sees the slot sees it, too. */
static inline void
slot_fill(struct bucket *bucket, unsigned slot, struct index_place place)
{
	atomic_store_explicit(&bucket->label[slot], place.label, memory_order_relaxed);
	/* release publishes the item: pairs with slot_load() */
	atomic_store_explicit(&bucket->slot[slot], place.location, memory_order_release);
}

/* Replaces the item in a slot. */
static inline void
index_swing(struct index_hit *hit, struct index_place place)
{
	slot_fill(hit->line, hit->slot, place);
}

void index_remove(struct index_cursor *cursor, struct index_hit *hit);

/* Carves the first tables out of segments: 0 or -ENOMEM. */
int index_init(struct partition *part);
/* Is there room for a table in the segment being carved? Else index_table_add() one. Under the grow lock. */
bool index_table_ready(const struct partition *part);
void index_table_add(struct partition *part, uint32_t segment);

/* Makes room for a key whose lines are full; under the grow lock. False when that cannot be: the table has
 * too few entries left, or none is ready. */
bool index_grow(struct store_thread *thread, struct partition *part, uint64_t hash);

/* Hash of the item that a slot names: reads the item. */
uint64_t index_slot_hash(const struct store *store, const struct partition *part, uint64_t location);

/* ---- for index.c, index_grow.c and whoever walks over all lines --------------------------------- */

#define LINES_OF_A_KEY 3u

struct key_lines {
	struct bucket *line[LINES_OF_A_KEY]; /* home and two different spill lines */
};

/* The lines where an item with this hash may be. */
static inline struct key_lines
key_lines(const struct partition *part, struct bucket *table, uint64_t hash)
{
	/* Keys of one home have different spill lines: those follow from all bits of the hash. */
	uint64_t mixed = (hash ^ hash >> 32) * 0x9e3779b97f4a7c15ull;
	uint64_t one = (mixed >> 32) * part->spills >> 32;
	uint64_t other = (mixed & UINT32_MAX) * (part->spills - 1) >> 32;
	struct bucket *spill = table + part->homes;
	struct key_lines lines = {
	    {table + hash_home(part, hash), spill + one, spill + other + (other >= one)}};
	return lines;
}

static inline uint32_t
table_lines(const struct partition *part)
{
	return part->homes + part->spills;
}

void bucket_lock(struct bucket *bucket, uint32_t *control);

/* Puts an item in a line that no other thread fills; false: full. */
bool bucket_claim(struct bucket *bucket, struct index_place place);
/* The same in a spill line, which others may be filling. */
bool spill_claim(struct bucket *spill, struct index_place place);
/* Puts an item in one of its lines; the home is locked, its control word at *control. False: all full. */
bool lines_claim(const struct key_lines *lines, uint64_t hash, struct index_place place, uint32_t *control);

/* By number, in the order of their creation: items only ever move to tables with a higher one. */
static inline struct bucket *
index_table(const struct partition *part, uint32_t number)
{
	return table_pointer(part, atomic_load_explicit(&part->tables[number], memory_order_relaxed));
}

#endif
