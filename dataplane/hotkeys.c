/*
 * See hotkeys.h.
 */
#include "dataplane/hotkeys.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/rank.h"

#define GAP_SEED 0x9e3779b97f4a7c15ull

struct hotkeys *
hotkeys_create(void)
{
	struct hotkeys *hotkeys = calloc(1, sizeof(*hotkeys));

	if (hotkeys != NULL)
		hotkeys->random = GAP_SEED;
	return hotkeys;
}

void
hotkeys_destroy(struct hotkeys *hotkeys)
{
	free(hotkeys);
}

static inline unsigned
column(uint64_t hash, unsigned row)
{
	return (unsigned)(hash >> (row * HOTKEYS_COLUMNS_LOG2)) % HOTKEYS_COLUMNS;
}

static inline uint32_t
relaxed(const _Atomic uint32_t *value)
{
	return atomic_load_explicit(value, memory_order_relaxed);
}

static uint32_t
sketch_count(const struct hotkeys *hotkeys, uint64_t hash)
{
	uint32_t least = UINT32_MAX;

	for (unsigned row = 0; row < HOTKEYS_ROWS; row++) {
		uint32_t count = relaxed(&hotkeys->sketch[row][column(hash, row)]);

		least = count < least ? count : least;
	}
	return least;
}

/* Raises only those of the four that are too low: others have more because of other keys. */
static uint32_t
sketch_add(struct hotkeys *hotkeys, uint64_t hash)
{
	uint32_t count = sketch_count(hotkeys, hash) + 1;

	for (unsigned row = 0; row < HOTKEYS_ROWS; row++) {
		_Atomic uint32_t *cell = &hotkeys->sketch[row][column(hash, row)];

		if (relaxed(cell) < count)
			atomic_store_explicit(cell, count, memory_order_relaxed);
	}
	return count;
}

static void
halve(struct hotkeys *hotkeys)
{
	for (unsigned row = 0; row < HOTKEYS_ROWS; row++)
		for (unsigned i = 0; i < HOTKEYS_COLUMNS; i++)
			atomic_store_explicit(&hotkeys->sketch[row][i], relaxed(&hotkeys->sketch[row][i]) / 2,
			    memory_order_relaxed);
	for (unsigned i = 0; i < hotkeys->top_len; i++)
		hotkeys->top_counts[i] /= 2;
	hotkeys->top_least /= 2;
	atomic_store_explicit(&hotkeys->samples, relaxed(&hotkeys->samples) / 2, memory_order_relaxed);
}

static unsigned
top_find(const struct hotkeys *hotkeys, uint64_t hash)
{
	unsigned i = 0;

	while (i < hotkeys->top_len &&
	       atomic_load_explicit(&hotkeys->top_hashes[i], memory_order_relaxed) != hash)
		i++;
	return i;
}

static unsigned
top_coldest(const struct hotkeys *hotkeys)
{
	unsigned coldest = 0;

	for (unsigned i = 1; i < hotkeys->top_len; i++)
		if (hotkeys->top_counts[i] < hotkeys->top_counts[coldest])
			coldest = i;
	return coldest;
}

static void
top_put(struct hotkeys *hotkeys, uint64_t hash, const uint8_t *bytes, uint32_t len, uint32_t count)
{
	unsigned at = top_find(hotkeys, hash);
	bool was_coldest;

	if (at == hotkeys->top_len) {
		struct hotkeys_key key = {.len = (uint8_t)len};

		if (hotkeys->top_len < HOTKEYS_TOP)
			hotkeys->top_len++;
		else
			at = top_coldest(hotkeys);
		memcpy(key.bytes, bytes, len);
		PUBLISH(&hotkeys->top_keys[at], &key);
		atomic_store_explicit(&hotkeys->top_hashes[at], hash, memory_order_relaxed);
		hotkeys->top_counts[at] = 0;
	}
	was_coldest = hotkeys->top_counts[at] <= hotkeys->top_least;
	hotkeys->top_counts[at] = count;
	if (was_coldest && hotkeys->top_len == HOTKEYS_TOP)
		hotkeys->top_least = hotkeys->top_counts[top_coldest(hotkeys)];
}

void
hotkeys_add(struct hotkeys *hotkeys, uint64_t hash, const uint8_t *key, uint32_t len)
{
	uint32_t count, samples = relaxed(&hotkeys->samples) + 1;

	atomic_store_explicit(&hotkeys->samples, samples, memory_order_relaxed);
	count = sketch_add(hotkeys, hash);
	if (count > hotkeys->top_least && len <= HOTKEYS_KEY_MAX)
		top_put(hotkeys, hash, key, len, count);
	if (samples >= HOTKEYS_SAMPLES_MAX)
		halve(hotkeys);
}

uint32_t
hotkeys_gap(struct hotkeys *hotkeys, uint32_t every)
{
	/* xorshift64: Marsaglia 2003 */
	uint64_t x = hotkeys->random;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	hotkeys->random = x;
	return 1 + (uint32_t)(((x >> 32) * (2ull * every - 1)) >> 32);
}

/* ---- reading ---------------------------------------------------------------------------------- */

static bool
is_among(const struct hotkeys_hot *found, unsigned len, uint64_t hash)
{
	for (unsigned i = 0; i < len; i++)
		if (found[i].hash == hash)
			return true;
	return false;
}

static bool
is_hotter(const void *a, const void *b)
{
	return ((const struct hotkeys_hot *)a)->count > ((const struct hotkeys_hot *)b)->count;
}

unsigned
hotkeys_merge(const struct hotkeys *const *workers, unsigned workers_len, struct hotkeys_hot *out,
    unsigned room, uint64_t *samples)
{
	unsigned len = 0;

	*samples = 0;
	for (unsigned w = 0; w < workers_len; w++)
		*samples += relaxed(&workers[w]->samples);
	for (unsigned i = 0; i < workers_len * HOTKEYS_TOP; i++) {
		const struct hotkeys *worker = workers[i / HOTKEYS_TOP];
		unsigned at = i % HOTKEYS_TOP;
		struct hotkeys_hot one = {
		    .hash = atomic_load_explicit(&worker->top_hashes[at], memory_order_relaxed)};

		if (!PUBLISHED_READ(&worker->top_keys[at], &one.key) || one.key.len == 0 ||
		    is_among(out, len, one.hash))
			continue;
		for (unsigned w = 0; w < workers_len; w++)
			one.count += sketch_count(workers[w], one.hash);
		len = rank_insert(out, len, room, &one, sizeof(one), is_hotter);
	}
	return len;
}
