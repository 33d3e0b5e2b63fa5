/*
 * The items that exist: for each number below `keys` a key, its value's size, and which versions of the value were sent
 * and acknowledged. Nothing but the versions is stored: key and sizes follow from the number by a hash.
 *
 * A key is 8 hexadecimal digits of its number, then of its hash, repeated up to its size.
 *
 * Versions are shared by all threads. Only the thread that owns a key (number modulo threads) changes it, and it has at
 * most one change of a key under way, so that what the server applied last is known. The others read (relaxed: each
 * number stands for itself).
 */
#ifndef WIRECACHE_LOAD_ITEMS_H
#define WIRECACHE_LOAD_ITEMS_H

#include <immintrin.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "tests/load/rng.h"
#include "tests/load/sizes.h"
#include "tests/load/value.h"

#define ITEMS_KEY_MIN     8u
#define ITEMS_KEY_MAX     250u
#define ITEMS_KEY_ROOM    (ITEMS_KEY_MAX + 22u) /* item_key() writes whole 16 bytes */
#define ITEMS_BUSY        0x80000000u
#define ITEMS_VALUE_MAX   (1u << 30)
#define ITEMS_UNVERSIONED 1u /* the version of everything when nothing is ever changed */

struct item_versions {
	_Atomic uint32_t
	    stored; /* the newest that the server has acknowledged; 0: none yet, nothing is known */
	_Atomic uint32_t sent; /* the newest that was sent; ITEMS_BUSY: a change is under way */
};

struct items {
	uint32_t keys;
	struct sizes key_sizes;
	struct sizes value_sizes;
	struct item_versions *versions; /* NULL when nothing is ever changed */
};

enum item_verdict { ITEM_RIGHT, ITEM_STALE, ITEM_WRONG };

static inline uint64_t
item_hash(uint32_t key)
{
	return load_mix((uint64_t)key + 0x632be59bd9b4e019ull);
}

/* 8 hexadecimal digits as one word. */
static inline uint64_t
item_digits(uint32_t number)
{
	uint64_t nibbles = __builtin_bswap64(_pdep_u64(number, 0x0f0f0f0f0f0f0f0full));
	uint64_t letters = ((nibbles + 0x0606060606060606ull) >> 4) & 0x0101010101010101ull;

	return nibbles + 0x3030303030303030ull + letters * 39;
}

/* Writes the key, rounded up to whole 16 bytes; returns its size. */
static inline uint32_t
item_key(const struct items *items, uint32_t key, uint8_t *out)
{
	uint64_t hash = item_hash(key);
	uint64_t words[2] = {item_digits(key), item_digits((uint32_t)(hash >> 32))};
	uint32_t bytes = sizes_pick(&items->key_sizes, hash);

	for (uint32_t at = 0; at < bytes; at += 16)
		memcpy(out + at, words, sizeof(words));
	return bytes;
}

/* Is this the key's text, item_key()'s result? Compared as words: what was just stored would not load at once. */
static inline bool
item_key_equals(uint32_t key, const uint8_t *text, uint32_t bytes)
{
	uint64_t words[2] = {item_digits(key), item_digits((uint32_t)(item_hash(key) >> 32))}, word;
	uint32_t at = 0;

	if (bytes == sizeof(words)) { /* the usual size, without a loop */
		memcpy(&word, text + sizeof(word), sizeof(word));
		return memcmp(text, &words[0], sizeof(word)) == 0 && word == words[1];
	}
	for (; at + sizeof(word) <= bytes; at += sizeof(word)) {
		memcpy(&word, text + at, sizeof(word));
		if (word != words[at / sizeof(word) % 2])
			return false;
	}
	return at == bytes || memcmp(text + at, &words[at / sizeof(word) % 2], bytes - at) == 0;
}

static inline uint32_t
item_key_bytes(const struct items *items, uint32_t key)
{
	return sizes_pick(&items->key_sizes, item_hash(key));
}

static inline uint32_t
item_value_bytes(const struct items *items, uint32_t key)
{
	return sizes_pick(&items->value_sizes, item_hash(key) >> 12);
}

static inline void
item_prefetch(const struct items *items, uint32_t key)
{
	if (items->versions != NULL)
		__builtin_prefetch(&items->versions[key], 1);
}

/* The oldest version that a get sent now may see; 0: any. */
static inline uint32_t
item_floor(const struct items *items, uint32_t key)
{
	if (items->versions == NULL)
		return 0;
	return atomic_load_explicit(&items->versions[key].stored, memory_order_relaxed);
}

/* A value of this version came for a get sent when the floor was this. */
static inline enum item_verdict
item_judge(const struct items *items, uint32_t key, uint32_t floor, uint32_t version)
{
	if (floor == 0)
		return ITEM_RIGHT;
	if (version < floor)
		return ITEM_STALE;
	uint32_t sent = atomic_load_explicit(&items->versions[key].sent, memory_order_relaxed);
	return version <= (sent & ~ITEMS_BUSY) ? ITEM_RIGHT : ITEM_WRONG;
}

/* False when memory is short. versioned: there will be changes. */
bool items_init(struct items *items, uint32_t keys, bool versioned);
void items_free(struct items *items);

/* The owner begins a change: its version, or 0 when one is under way. ITEMS_UNVERSIONED without versions. */
uint32_t item_change(struct items *items, uint32_t key);

/* It ended. applied: the server acknowledged it; else it may or may not have happened. */
void item_changed(struct items *items, uint32_t key, uint32_t version, bool applied);

#endif
