/*
 * What a value contains, so that it can be judged by itself: whose it is, which version, and whether every byte is right.
 *
 *   byte   0         4         8               16              24
 *         +---------+---------+---------------+---------------+----
 *         | version | check   | hash of key   | words of a series that starts with key and version ...
 *         +---------+---------+---------------+---------------+----
 *
 * All little endian, cut at the value's size. `check` covers key, version and size. A value below 8 bytes has no room for
 * a version: it is the first bytes of a hash of key and size, so a wrong one shows and a stale one does not.
 */
#ifndef WIRECACHE_LOAD_VALUE_H
#define WIRECACHE_LOAD_VALUE_H

#include <stdbool.h>
#include <stdint.h>

#include "tests/load/rng.h"

#define VALUE_VERSIONED_BYTES 8u  /* values from this size on have a version */
#define VALUE_HEAD_BYTES      16u /* what --verify=head compares */

/* A value as it comes in, piece by piece. */
struct value_check {
	uint64_t key_hash;
	uint64_t first; /* word 0, as far as it came */
	uint32_t total;
	uint32_t done;
	bool right;
};

/* Writes bytes offset..offset+bytes-1 of the value. */
void value_write(
    uint8_t *out, uint64_t key_hash, uint32_t version, uint32_t total, uint32_t offset, uint32_t bytes);

static inline void
value_check_begin(struct value_check *check, uint64_t key_hash, uint32_t total)
{
	*check = (struct value_check){.key_hash = key_hash, .total = total, .right = true};
}

/* The next bytes, at most what is missing. compare_bytes: further ones are not looked at. */
void value_check_feed(struct value_check *check, const uint8_t *data, uint32_t bytes, uint32_t compare_bytes);

/* A whole value of at least VALUE_HEAD_BYTES: whether every byte is right, and which version it says it is. */
bool value_whole(uint64_t key_hash, uint32_t total, const uint8_t *data, uint32_t *version);

/* After all came: 0 if there is none. */
static inline uint32_t
value_check_version(const struct value_check *check)
{
	return check->total >= VALUE_VERSIONED_BYTES ? (uint32_t)check->first : 0;
}

#endif
