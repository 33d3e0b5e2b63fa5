/*
 * The keys asked for most, found in a sample of a worker's requests: a count-min sketch counts them, and the keys with
 * the highest counts are kept beside it. Counts age: when a million have been sampled all are halved, so that what is
 * shown is the last minutes and not the whole life.
 *
 *   request --1 in `every'--> sketch: 4 rows of 8192 counters, a key's count is the least of its four
 *                                |
 *                                v  more than the least of them?
 *                             top: 64 keys, published
 *
 * The same key has the same hash on all workers, so counts of several sketches are added: hotkeys_merge(). A count is
 * never too low but for races, and too high by what collides in all four rows: with a million keys, zipf 0.99, by less
 * than one part in a thousand of all requests.
 *
 * Threads: one struct hotkeys a worker, its only writer; others call hotkeys_merge() any time.
 */
#ifndef WIRECACHE_HOTKEYS_H
#define WIRECACHE_HOTKEYS_H

#include <stdatomic.h>
#include <stdint.h>

#include "dataplane/publish.h"

#define HOTKEYS_KEY_MAX      250u
#define HOTKEYS_ROWS         4u
#define HOTKEYS_COLUMNS_LOG2 13u
#define HOTKEYS_COLUMNS      (1u << HOTKEYS_COLUMNS_LOG2)
#define HOTKEYS_TOP          64u
#define HOTKEYS_SAMPLES_MAX  (1u << 20)

struct hotkeys_key {
	uint8_t len;
	uint8_t bytes[HOTKEYS_KEY_MAX];
};

struct hotkeys {
	uint64_t random;
	unsigned top_len;
	uint32_t top_least; /* the least count in top, 0 while it is not full */
	_Atomic uint32_t samples;
	_Atomic uint64_t top_hashes[HOTKEYS_TOP];
	uint32_t top_counts[HOTKEYS_TOP];
	_Atomic uint32_t sketch[HOTKEYS_ROWS][HOTKEYS_COLUMNS];
	PUBLISHED(struct hotkeys_key) top_keys[HOTKEYS_TOP];
};

/* All zero is an empty one. NULL: no memory. */
struct hotkeys *hotkeys_create(void);
void hotkeys_destroy(struct hotkeys *hotkeys);

/* One sampled request; hash: 64 well mixed bits of the key. */
void hotkeys_add(struct hotkeys *hotkeys, uint64_t hash, const uint8_t *key, uint32_t len);

/* How many requests to pass over until the next sample, `every' on average, so that no rhythm of requests hides a key. */
uint32_t hotkeys_gap(struct hotkeys *hotkeys, uint32_t every);

struct hotkeys_hot {
	struct hotkeys_key key;
	uint64_t hash;
	uint64_t count; /* of the samples */
};

/* The hottest keys over several workers, hottest first; returns how many, *samples of how many requests sampled. */
unsigned hotkeys_merge(const struct hotkeys *const *workers, unsigned workers_len, struct hotkeys_hot *out,
    unsigned room, uint64_t *samples);

#endif
