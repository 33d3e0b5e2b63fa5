/*
 * `stats detail`: how often keys of each prefix, what stands before their first ':', were asked for, found, stored and
 * deleted.
 *
 * Every worker counts in a table of its own, made when the first key comes after counting was switched on, bounded, and
 * kept from then on. A reader adds the tables up. While counting is off nothing here is called.
 *
 *   worker: prefixes_count() --> its table --+
 *   worker: prefixes_count() --> its table --+--> prefixes_sum() --> PREFIX lines
 *
 * Threads: a table belongs to one thread; all else may be called by any. Nobody waits for anybody: counters have one
 * writer, and a reader that finds everything forgotten while it adds up begins again.
 */
#ifndef WIRECACHE_PREFIXES_H
#define WIRECACHE_PREFIXES_H

#include <stdbool.h>
#include <stdint.h>

#define PREFIXES_MAX     1024u /* in a table, and in a sum; keys of others are counted as untold */
#define PREFIX_BYTES_MAX 249u  /* a key without its ':' */
#define PREFIX_DELIMITER ':'

enum prefix_event { PREFIX_GET, PREFIX_HIT, PREFIX_SET, PREFIX_DELETE, PREFIX_EVENTS };

struct prefix {
	uint64_t hash;
	uint64_t count[PREFIX_EVENTS];
	uint32_t len;
	uint8_t bytes[PREFIX_BYTES_MAX];
};

struct prefixes;
struct prefix_table;

/* NULL: no memory. */
struct prefixes *prefixes_create(void);
/* After all threads that count have ended; frees their tables. */
void prefixes_destroy(struct prefixes *prefixes);

void prefixes_enable(struct prefixes *prefixes, bool enabled);
bool prefixes_enabled(const struct prefixes *prefixes);

/* A table for the calling thread; NULL: no memory. */
struct prefix_table *prefixes_join(struct prefixes *prefixes);

/* Length of a key's prefix; UINT32_MAX when it has none. */
uint32_t prefix_len(const uint8_t *key, uint32_t key_len);

/* One key of this prefix; hash: of the prefix, by a keyed function. False: the table is full, or no memory. */
bool prefixes_count(
    struct prefix_table *table, uint64_t hash, const uint8_t *prefix, uint32_t len, enum prefix_event event);

/* Forgets all counts. */
void prefixes_reset(struct prefixes *prefixes);

/* The sum over all tables as a new array, to be freed; NULL with *len 0: nothing, or no memory. */
struct prefix *prefixes_sum(const struct prefixes *prefixes, uint32_t *len);

#endif
