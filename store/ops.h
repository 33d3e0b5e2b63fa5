/*
 * What the files of memcached's semantics share: finding a live item, and counting what was stored.
 */
#ifndef WIRECACHE_STORE_OPS_H
#define WIRECACHE_STORE_OPS_H

#include "store/draft.h"
#include "store/index.h"

/* Lock-free: the item alive under a key. */
bool ops_find(struct store_thread *thread, const struct store_key *key, struct index_hit *hit);

/* The same, locked: true leaves the cursor locked. */
bool ops_lock(struct store_thread *thread, const struct store_key *key, struct index_cursor *cursor,
    struct index_hit *hit);

/* Counts a successful store and hands out its CAS; returns `status`. */
enum store_status ops_stored(
    struct store_thread *thread, enum store_status status, const struct publish *publish, uint64_t *cas);

#endif
