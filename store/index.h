/*
 * The index of a partition: an extendible hash of tables, each a power of two of groups of 16 lines.
 *
 *   hash   63 ...                                                        26..22      21..12   11..0
 *          | directory: depth bits | tag: 24 bits below depth_min | ... | partition | group  | line |
 *
 *   table  group 0: line 0 .. line 14 (homes), line 15 (spill)     group 1: ...
 *
 *   line   0         8        16                                         64
 *          +---------+--------+--------+--------+--------+--------+--------+--------+
 *          | control | slot 0 | slot 1 | slot 2 | slot 3 | slot 4 | slot 5 | slot 6 |
 *          +---------+--------+--------+--------+--------+--------+--------+--------+
 *          control: bit 0 writer's lock; bits 8.. : displaced items, those of this home that live elsewhere
 *          slot:    tag 24 | displaced 1 | lines - 1 2 | hits 2 | location 35      0: empty
 *
 * An item lives in its home line, else in the next line of its group, else in the spill line; then the home's
 * displaced count is not 0, so that a miss costs one line otherwise. When all three are full the table splits
 * in two by the next bit of the hash, which is in the tag: no item is read. The index takes segments as it
 * grows, so small items get the index they need and large items do not pay for it. A table is memory / 4096,
 * within 64 KiB and 1 MiB: a split copies one in tens of microseconds while only the writers of its keys
 * wait.
 *
 * Costs: a table is full at a load near 0.85, so slots cost 10.8 bytes an item then, and 14 averaged over
 * growth.
 *
 * Concurrency: readers load slots (acquire) and lock nothing. Writers lock the key's home line. A slot of
 * another line is claimed by compare-exchange from 0 and from then on changed under the lock of the home of
 * its item only. Readers bump hits by compare-exchange. A split locks all homes of its table.
 */
#ifndef WIRECACHE_STORE_INDEX_H
#define WIRECACHE_STORE_INDEX_H

#include "store/internal.h"

#define BUCKET_SLOTS     7u
#define GROUP_LINES      16u
#define GROUP_HOMES      15u
#define TABLE_SHIFT_MIN  16u
#define TABLE_SHIFT_MAX  20u
#define DEPTH_GROWTH_MAX 6u /* splits of one table from the start on; each takes a bit from the tag */

#define CONTROL_LOCK      1u
#define CONTROL_DISPLACED 0x100u /* one displaced item */

#define SLOT_LOCATION_BITS 35
#define SLOT_LOCATION_MASK ((1ull << SLOT_LOCATION_BITS) - 1)
#define SLOT_HITS_SHIFT    35
#define SLOT_HITS_ONE      (1ull << SLOT_HITS_SHIFT)
#define SLOT_HITS_MAX      3u
#define SLOT_LINES_SHIFT   37
#define SLOT_DISPLACED     (1ull << 39)
#define SLOT_TAG_SHIFT     40
#define SLOT_TAG_BITS      24u

struct bucket {
	_Atomic uint64_t control;
	_Atomic uint64_t slot[BUCKET_SLOTS];
};
static_assert(sizeof(struct bucket) == STORE_LINE_BYTES, "a bucket is one line");

/* Where an item was found. Valid while the finder does not quiesce. */
struct index_hit {
	_Atomic uint64_t *slot;
	uint64_t word; /* the slot as it was read */
	struct item *item;
};

/* A locked home line. */
struct index_cursor {
	struct partition *part;
	struct bucket *home;
	uint64_t hash;
	uint64_t control; /* to be stored when unlocking */
};

static inline uint64_t
slot_location(uint64_t word)
{
	return word & SLOT_LOCATION_MASK;
}

static inline uint32_t
slot_hits(uint64_t word)
{
	return (uint32_t)(word >> SLOT_HITS_SHIFT) & SLOT_HITS_MAX;
}

static inline uint64_t
hash_tag(const struct partition *part, uint64_t hash)
{
	return hash >> part->tag_shift & ((1u << SLOT_TAG_BITS) - 1);
}

/* A slot for an item of record_bytes; displaced is set by whoever places it. */
static inline uint64_t
slot_make(
    const struct partition *part, uint64_t hash, uint64_t location, uint32_t record_bytes, uint32_t hits)
{
	uint32_t lines = (record_bytes - 1) / STORE_LINE_BYTES;
	if (lines > 3)
		lines = 3;
	return hash_tag(part, hash) << SLOT_TAG_SHIFT | (uint64_t)lines << SLOT_LINES_SHIFT |
	       (uint64_t)hits << SLOT_HITS_SHIFT | location;
}

static inline uint32_t
directory_entry(const struct partition *part, uint64_t hash)
{
	/* acquire pairs with the release in split_publish() */
	return atomic_load_explicit(&part->directory[hash >> part->directory_shift], memory_order_acquire);
}

static inline struct bucket *
table_pointer(const struct partition *part, uint32_t entry)
{
	return (struct bucket *)(void *)(part->base + ((uint64_t)entry << 12));
}

/* Line 0 of the key's group. */
static inline struct bucket *
table_group(const struct partition *part, struct bucket *table, uint64_t hash)
{
	return table + (hash >> 12 & part->group_mask) * GROUP_LINES;
}

static inline uint32_t
hash_line(uint64_t hash)
{
	return (uint32_t)(hash & 0xfff) * GROUP_HOMES >> 12;
}

static inline struct bucket *
group_neighbour(struct bucket *group, uint32_t line)
{
	return group + (line + 1 < GROUP_HOMES ? line + 1 : 0);
}

static inline struct bucket *
index_home(const struct partition *part, uint64_t hash)
{
	return table_group(part, table_pointer(part, directory_entry(part, hash)), hash) + hash_line(hash);
}

static inline uint64_t
slot_load(const _Atomic uint64_t *slot)
{
	/* acquire pairs with the release that published the item */
	return atomic_load_explicit(slot, memory_order_acquire);
}

/*
 * Bit i is set when slot i carries the tag; empty slots may be among them. Two vector loads, each lane of
 * which the processor reads whole: a hint for TSan's eyes no more, since who uses a slot loads it again with
 * slot_load(). The fence keeps the compiler from moving them behind later loads, which on x86 is all an
 * acquire takes.
 */
static inline __attribute__((no_sanitize("thread"))) unsigned
bucket_match(const struct bucket *bucket, uint64_t tag)
{
	const __m256i *lanes = (const __m256i *)(const void *)bucket;
	__m256i wanted = _mm256_set1_epi64x((long long)tag);
	__m256i low = _mm256_cmpeq_epi64(_mm256_srli_epi64(_mm256_load_si256(lanes), SLOT_TAG_SHIFT), wanted);
	__m256i high =
	    _mm256_cmpeq_epi64(_mm256_srli_epi64(_mm256_load_si256(lanes + 1), SLOT_TAG_SHIFT), wanted);
	unsigned mask = (unsigned)_mm256_movemask_pd(_mm256_castsi256_pd(low)) |
	                (unsigned)_mm256_movemask_pd(_mm256_castsi256_pd(high)) << 4;

	atomic_signal_fence(memory_order_acquire);
	return mask >> 1; /* lane 0 is the control word */
}

static inline bool
bucket_find(const struct partition *part, struct bucket *bucket, uint64_t tag, const uint8_t *key,
    uint32_t key_len, struct index_hit *hit)
{
	for (unsigned mask = bucket_match(bucket, tag); mask; mask &= mask - 1) {
		_Atomic uint64_t *slot = &bucket->slot[__builtin_ctz(mask)];
		uint64_t word = slot_load(slot);
		struct item *item = location_pointer(part, slot_location(word));
		if (slot_location(word) && item_key_equals(item, item_meta(item), key, key_len)) {
			*hit = (struct index_hit){.slot = slot, .word = word, .item = item};
			return true;
		}
	}
	return false;
}

/* The other lines of a home with displaced items, and the check that no split interfered. */
bool index_find_rest(
    const struct partition *part, const struct store_key *key, uint32_t entry, struct index_hit *hit);

/* Lock-free lookup. */
static inline bool
index_find(const struct partition *part, const struct store_key *key, struct index_hit *hit)
{
	uint32_t entry = directory_entry(part, key->hash);
	struct bucket *group = table_group(part, table_pointer(part, entry), key->hash);
	struct bucket *home = group + hash_line(key->hash);

	if (bucket_find(part, home, hash_tag(part, key->hash), key->bytes, key->len, hit))
		return true;
	if (atomic_load_explicit(&home->control, memory_order_acquire) < CONTROL_DISPLACED &&
	    directory_entry(part, key->hash) == entry)
		return false;
	return index_find_rest(part, key, entry, hit);
}

/*
 * The same when the home was looked up a little earlier, without a store_quiesce() since. If its table was split
 * meanwhile, what it holds is what it held then.
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

void index_lock(struct partition *part, uint64_t hash, struct index_cursor *cursor);
void index_unlock(struct index_cursor *cursor);

/* Under the cursor's lock. */
bool index_seek(struct index_cursor *cursor, const struct store_key *key, struct index_hit *hit);
bool index_seek_location(struct index_cursor *cursor, uint64_t location, struct index_hit *hit);
/* word from slot_make(). False when all three lines are full. */
bool index_insert(struct index_cursor *cursor, uint64_t word);
/* Replaces the item in a slot. */
void index_swing(struct index_cursor *cursor, struct index_hit *hit, uint64_t word);
void index_remove(struct index_cursor *cursor, struct index_hit *hit);

/* The hit counter saturates, so hot items stop writing their line. */
static inline void
index_bump(struct index_hit *hit)
{
	if (slot_hits(hit->word) < SLOT_HITS_MAX)
		/* relaxed: nothing depends on it; a lost race loses a hit */
		atomic_compare_exchange_strong_explicit(hit->slot, &hit->word, hit->word + SLOT_HITS_ONE,
		    memory_order_relaxed, memory_order_relaxed);
}

/* Carves the first 2^depth_min tables out of segments: 0 or -ENOMEM. */
int index_init(struct partition *part);
/* Is there room for a table in the segment being carved? Else index_table_add() one. Under the split lock. */
bool index_table_ready(const struct partition *part);
void index_table_add(struct partition *part, uint32_t segment);

/* Makes room for a key whose lines are full; under the split lock. False when the table cannot split: too
 * deep, or no table ready. */
bool index_split(struct store_thread *thread, struct partition *part, uint64_t hash);

/* Hash of the item that a slot names: reads the item. */
uint64_t index_slot_hash(const struct store *store, const struct partition *part, uint64_t word);

/* Visits all lines of all tables until one visit returns a sentence. For store_check() and tests. */
typedef const char *index_visit(
    void *context, const struct partition *part, struct bucket *table, struct bucket *line, bool home);
const char *index_walk(const struct partition *part, index_visit *visit, void *context);

#endif
