/*
 * Plain gets of a burst, a stage over all keys at a time. What store_get() does for one key is done here in loops without
 * calls, and of an item only what the reply to a get says is read.
 */
#include "store/index.h"
#include "store/life.h"
#include "store/read.h"
#include "store/segment.h"

#define PROBE_ROW 32u /* a burst */

void
store_probe_hash(const struct store *store, struct store_probe *probes, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		struct store_probe *probe = &probes[i];
		const uint64_t hash = hash_bytes(&store->hash, probe->key.bytes, probe->key.len);
		const struct partition *part = partition_of(store, hash);

		probe->key.hash = hash;
		probe->part_ = part;
		probe->place_ = index_home(part, hash);
		__builtin_prefetch(probe->place_);
	}
}

void
store_probe_place(const struct store *store, struct store_probe *probes, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		probes[i].place_ = index_home(probes[i].part_, probes[i].key.hash);
}

void
store_probe_load(const struct store *store, struct store_probe *probes, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		probes[i].spilled_ =
		    read_prefetch_item(probes[i].part_, probes[i].key.hash, probes[i].place_);
}

void
store_probe_load_spilled(const struct store *store, const struct store_probe *probes, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (__builtin_expect(probes[i].spilled_, 0))
			read_prefetch_spilled(probes[i].part_, probes[i].key.hash, probes[i].place_);
}

/* A hit that is still to be counted. */
struct probe_hit {
	struct index_hit hit;
	uint64_t meta;
};

/* Returns whether it is a hit. */
static inline bool
probe_get(struct store_thread *thread, const struct store_probe *probe, uint32_t value_max,
    struct store_found *found, struct probe_hit *counted)
{
	const struct partition *part = probe->part_;
	struct index_hit hit;
	uint64_t meta;
	uint32_t expiry;

	found->value = NULL;
	found->value_bytes = 0;
	partition_count(thread, part);
	if (!read_alive(thread, index_find_at(part, &probe->key, probe->place_, &hit), &hit, &meta, &expiry))
		return false;
	found->value_bytes = item_value_bytes(hit.item, meta);
	if (__builtin_expect(found->value_bytes > value_max || (meta & ITEM_CHUNKED), 0)) {
		found->value_bytes = UINT32_MAX;
		return false;
	}
	found->value = item_value(hit.item, meta);
	found->client_flags = item_client_flags(hit.item, meta);
	read_hold(thread, part, hit.item, meta);
	*counted = (struct probe_hit){.hit = hit, .meta = meta};
	return true;
}

/*
 * Accesses are counted when all were looked up: counting may take locked instructions, which wait for every load before
 * them, and then those of the next keys would not overlap.
 */
static unsigned
probe_row(struct store_thread *thread, const struct store_probe *probes, unsigned n, uint32_t value_max,
    struct store_found *found)
{
	struct probe_hit counted[PROBE_ROW];
	unsigned hits = 0;

	for (unsigned i = 0; i < n; i++)
		hits += probe_get(thread, &probes[i], value_max, &found[i], &counted[hits]);
	for (unsigned i = 0; i < hits; i++)
		read_count_access(thread, &counted[i].hit, counted[i].meta);
	return hits;
}

unsigned
store_probe_get(struct store_thread *thread, const struct store_probe *probes, unsigned n, uint32_t value_max,
    struct store_found *found)
{
	unsigned hits = 0;

	for (unsigned i = 0; i < n; i += PROBE_ROW)
		hits += probe_row(
		    thread, probes + i, n - i < PROBE_ROW ? n - i : PROBE_ROW, value_max, found + i);
	COUNT_ADD(thread, hits, hits);
	return hits;
}
