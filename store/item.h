/*
 * Records in a segment: items, chunks of large values, and holes. All start on 8 bytes and follow each other
 * without a gap, so that a segment can be walked from its start to its used end.
 *
 *   item     0        8            12        14       16
 *            +--------+------------+---------+--------+-----------+-----------+-----+---------------------+-----+
 *            | meta   | expiry     | value   | access | [cas 8]   | [flags 4] | key | value or chunk list |
 * pad |
 *            +--------+------------+---------+--------+-----------+-----------+-----+---------------------+-----+
 *             sequence 48  hits    2 length   seconds   EXT_CAS     CFLAGS           list starts on 8 bytes
 *             key len   8  expiry 30
 *             flags     8
 *
 *   chunk    0        8        12        16       24
 *            +--------+--------+---------+--------+------ ... ------+-----+
 *            | meta   | bytes  | ordinal | hash   | part of a value | pad |   meta: flags RAW, key length
 * KIND_CHUNK
 *            +--------+--------+---------+--------+------ ... ------+-----+
 *   hole     the first 16 bytes of a chunk; bytes covers the whole record     meta: flags RAW, key length
 * KIND_HOLE
 *
 * Key, value, chunk list, client flags and a client's CAS never change once an item is published. meta's flags and
 * sequence, expiry, hits and access do change in place, atomically: FETCHED, hits and access by readers, the rest under
 * the bucket's lock and one word an operation, so that no reader sees half of a change.
 *
 * Expiry is seconds since one before the store began (struct store.base_s): 30 bits last 34 years; 0 is
 * never. Access is Unix seconds modulo 2^16: an access more than 18 hours ago is reported modulo that.
 */
#ifndef WIRECACHE_STORE_ITEM_H
#define WIRECACHE_STORE_ITEM_H

#include <assert.h>
#include <emmintrin.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "store/store.h"

/* 0x0f: the flags of store.h */
#define ITEM_CFLAGS  0x10u /* 4 bytes of client flags follow: only when not 0 */
#define ITEM_EXT_CAS 0x20u /* 8 bytes of a CAS given by the client follow */
#define ITEM_CHUNKED 0x40u /* the value is a struct chunk_list */
#define ITEM_RAW     0x80u /* no item: a chunk or a hole */

#define ITEM_PUBLIC_FLAGS \
	(STORE_ITEM_FETCHED | STORE_ITEM_STALE | STORE_ITEM_TOKEN_SENT | STORE_ITEM_KEY_BINARY)

#define RECORD_KIND_HOLE  0u
#define RECORD_KIND_CHUNK 1u

#define ITEM_EXPIRY_MASK      0x3fffffffu
#define ITEM_HITS_SHIFT       30
#define ITEM_HITS_MAX         3u /* the counter saturates, so hot items stop writing it */
#define ITEM_INLINE_VALUE_MAX UINT16_MAX
#define ITEM_SEQUENCE_SHIFT   16

struct item {
	_Atomic uint64_t meta;
	_Atomic uint32_t expiry; /* hits 2 bits | expiry 30 */
	uint16_t value_len;      /* of the inline value, or the number of chunks */
	_Atomic uint16_t access;
	_Alignas(8) uint8_t body[];
};
static_assert(sizeof(struct item) == 16, "an item costs 16 bytes before its key");

struct chunk {
	_Atomic uint64_t meta;
	uint32_t bytes;   /* chunk: of the value; hole: of the whole record */
	uint32_t ordinal; /* place in the owner's list */
	uint64_t hash;    /* of the owner's key */
	uint8_t data[];
};
static_assert(sizeof(struct chunk) == 24, "layout of a chunk");

#define HOLE_BYTES_MIN 16u

/* One piece of a large value: location 35 bits (8-byte units) | bytes - 1 in 28 bits. */
struct chunk_list {
	uint32_t value_bytes;
	uint32_t len;
	uint64_t entry[];
};

static inline uint64_t
chunk_entry_make(uint64_t location, uint32_t bytes)
{
	return location << 28 | (bytes - 1);
}

static inline uint64_t
chunk_entry_location(uint64_t entry)
{
	return entry >> 28;
}

static inline uint32_t
chunk_entry_bytes(uint64_t entry)
{
	return (uint32_t)(entry & 0xfffffff) + 1;
}

/* What determines a new item's layout. */
struct item_shape {
	uint32_t key_len;
	uint32_t value_bytes; /* of the value, inline or not */
	uint32_t chunks;      /* 0: inline */
	uint32_t client_flags;
	bool ext_cas;
};

static inline uint32_t
record_round(uint32_t bytes)
{
	return (bytes + 7) & ~7u;
}

static inline uint32_t
shape_value_offset(const struct item_shape *shape)
{
	uint32_t at =
	    sizeof(struct item) + (shape->ext_cas ? 8 : 0) + (shape->client_flags ? 4 : 0) + shape->key_len;
	return shape->chunks ? record_round(at) : at;
}

static inline uint32_t
shape_bytes(const struct item_shape *shape)
{
	uint32_t at = shape_value_offset(shape);
	if (shape->chunks)
		return at + (uint32_t)sizeof(struct chunk_list) + 8 * shape->chunks;
	return record_round(at + shape->value_bytes);
}

static inline uint64_t
item_meta(const struct item *item)
{
	return atomic_load_explicit(&item->meta, memory_order_relaxed);
}

static inline uint32_t
meta_flags(uint64_t meta)
{
	return (uint32_t)(meta & 0xff);
}

static inline uint32_t
meta_key_len(uint64_t meta)
{
	return (uint32_t)(meta >> 8 & 0xff);
}

static inline uint64_t
meta_sequence(uint64_t meta)
{
	return meta >> ITEM_SEQUENCE_SHIFT;
}

static inline uint64_t
meta_make(uint64_t sequence, uint32_t key_len, uint32_t flags)
{
	return sequence << ITEM_SEQUENCE_SHIFT | (uint64_t)key_len << 8 | flags;
}

static inline uint32_t
item_expiry(const struct item *item)
{
	return atomic_load_explicit(&item->expiry, memory_order_relaxed) & ITEM_EXPIRY_MASK;
}

/* Reads counted: 0..ITEM_HITS_MAX. */
static inline uint32_t
item_hits(const struct item *item)
{
	return atomic_load_explicit(&item->expiry, memory_order_relaxed) >> ITEM_HITS_SHIFT;
}

/* The inline value's length, or the number of chunks. */
static inline uint32_t
item_value_len(const struct item *item)
{
	return item->value_len;
}

/* While readers may be counting hits. */
static inline void
item_expiry_set(struct item *item, uint32_t expiry)
{
	uint32_t seen = atomic_load_explicit(&item->expiry, memory_order_relaxed);

	while (
	    !atomic_compare_exchange_weak_explicit(&item->expiry, &seen, (seen & ~ITEM_EXPIRY_MASK) | expiry,
	        memory_order_release, memory_order_relaxed)) /* release pairs with item_moment() */
		;
}

/* Of an item that is not published yet. */
static inline void
item_hits_set(struct item *item, uint32_t hits)
{
	atomic_store_explicit(
	    &item->expiry, hits << ITEM_HITS_SHIFT | item_expiry(item), memory_order_relaxed);
}

/* All relaxed: nothing depends on it, and a lost race loses a hit. */
static inline void
item_count_hit(struct item *item)
{
	uint32_t seen = atomic_load_explicit(&item->expiry, memory_order_relaxed);

	if (seen >> ITEM_HITS_SHIFT < ITEM_HITS_MAX)
		atomic_compare_exchange_strong_explicit(&item->expiry, &seen, seen + (1u << ITEM_HITS_SHIFT),
		    memory_order_relaxed, memory_order_relaxed);
}

static inline uint32_t
item_key_offset(uint64_t meta)
{
	if (__builtin_expect(!(meta & (ITEM_EXT_CAS | ITEM_CFLAGS)), 1))
		return sizeof(struct item);
	return (uint32_t)sizeof(struct item) + (meta & ITEM_EXT_CAS ? 8 : 0) + (meta & ITEM_CFLAGS ? 4 : 0);
}

static inline const uint8_t *
item_key(const struct item *item, uint64_t meta)
{
	return (const uint8_t *)item + item_key_offset(meta);
}

/* The client's CAS, when ITEM_EXT_CAS is set; on 8 bytes. */
static inline uint64_t
item_ext_cas(const struct item *item)
{
	return *(const uint64_t *)(const void *)item->body;
}

/* Start of the inline value or of the chunk list. */
static inline const uint8_t *
item_value(const struct item *item, uint64_t meta)
{
	uint32_t at = item_key_offset(meta) + meta_key_len(meta);
	return (const uint8_t *)item + (meta & ITEM_CHUNKED ? record_round(at) : at);
}

static inline const struct chunk_list *
item_chunks(const struct item *item, uint64_t meta)
{
	return (const struct chunk_list *)(const void *)item_value(item, meta);
}

static inline uint32_t
item_value_bytes(const struct item *item, uint64_t meta)
{
	return meta & ITEM_CHUNKED ? item_chunks(item, meta)->value_bytes : item_value_len(item);
}

static inline uint32_t
item_client_flags(const struct item *item, uint64_t meta)
{
	uint32_t flags = 0;
	if (meta & ITEM_CFLAGS)
		memcpy(&flags, item->body + (meta & ITEM_EXT_CAS ? 8 : 0), sizeof(flags));
	return flags;
}

/* Bytes of the item's own record; chunks not included. */
static inline uint32_t
item_record_bytes(const struct item *item, uint64_t meta)
{
	uint32_t at = (uint32_t)(item_value(item, meta) - (const uint8_t *)item);
	if (meta & ITEM_CHUNKED)
		return at + (uint32_t)sizeof(struct chunk_list) + 8 * item_value_len(item);
	return record_round(at + item_value_len(item));
}

/* Bytes of whatever record starts here. */
static inline uint32_t
record_bytes(const void *record)
{
	const struct item *item = record;
	uint64_t meta = item_meta(item);
	const struct chunk *chunk = record;

	if (!(meta & ITEM_RAW))
		return item_record_bytes(item, meta);
	if (meta_key_len(meta) == RECORD_KIND_CHUNK)
		return record_round((uint32_t)sizeof(*chunk) + chunk->bytes);
	return chunk->bytes;
}

static inline bool
bytes16_equal(const uint8_t *a, const uint8_t *b)
{
	const __m128i x = _mm_loadu_si128((const __m128i *)(const void *)a);
	const __m128i y = _mm_loadu_si128((const __m128i *)(const void *)b);

	return _mm_movemask_epi8(_mm_cmpeq_epi8(x, y)) == 0xffff;
}

/* memcmp() of keys, inline: a call costs more than comparing 20 bytes. */
static inline bool
key_equals(const uint8_t *a, const uint8_t *b, uint32_t len)
{
	uint64_t x, y;

	if (len < 8) {
		for (uint32_t i = 0; i < len; i++)
			if (a[i] != b[i])
				return false;
		return true;
	}
	if (len >= 16) {
		for (uint32_t at = 0; at + 16 < len; at += 16)
			if (!bytes16_equal(a + at, b + at))
				return false;
		return bytes16_equal(a + len - 16, b + len - 16); /* overlaps: the end of both */
	}
	memcpy(&x, a, 8);
	memcpy(&y, b, 8);
	if (x != y)
		return false;
	memcpy(&x, a + len - 8, 8);
	memcpy(&y, b + len - 8, 8);
	return x == y;
}

static inline bool
item_key_equals(const struct item *item, uint64_t meta, const uint8_t *key, uint32_t key_len)
{
	return meta_key_len(meta) == key_len && key_equals(item_key(item, meta), key, key_len);
}

/* Writes a hole over [record, record + bytes); bytes >= HOLE_BYTES_MIN and a multiple of 8. */
static inline void
record_make_hole(void *record, uint32_t bytes)
{
	struct chunk *hole = record;
	hole->bytes = bytes;
	hole->ordinal = 0;
	atomic_store_explicit(&hole->meta, meta_make(0, RECORD_KIND_HOLE, ITEM_RAW), memory_order_relaxed);
}

#endif
