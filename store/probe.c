/*
 * Plain gets of a burst, a stage over all keys at a time. What store_get() does for one key is done here in loops without
 * calls, and of an item only what the reply to a get says is read.
 */
#include "store/index.h"
#include "store/life.h"
#include "store/read.h"
#include "store/segment.h"

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
store_probe_load(const struct store *store, const struct store_probe *probes, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		read_prefetch_item(probes[i].part_, probes[i].key.hash, probes[i].place_);
}

/* Returns whether it is a hit. */
static inline bool
probe_get(struct store_thread *thread, const struct store_probe *probe, uint32_t value_max,
    struct store_found *found)
{
	const struct partition *part = probe->part_;
	struct index_hit hit;

	found->value = NULL;
	found->value_bytes = 0;
	partition_count(thread, part);
	if (!index_find_at(part, &probe->key, probe->place_, &hit)) {
		read_count_miss(thread, ITEM_ALIVE);
		return false;
	}
	uint32_t expiry;
	const uint64_t meta = item_moment(hit.item, &expiry);
	const enum item_life life = life_by(thread, meta, expiry, flush_latest(thread->store));
	if (__builtin_expect(life != ITEM_ALIVE, 0)) {
		read_count_miss(thread, life);
		return false;
	}
	found->value_bytes = item_value_bytes(hit.item, meta);
	if (__builtin_expect(found->value_bytes > value_max || (meta & ITEM_CHUNKED), 0)) {
		found->value_bytes = UINT32_MAX;
		return false;
	}
	found->value = item_value(hit.item, meta);
	found->client_flags = item_client_flags(hit.item, meta);
	read_hold(thread, part, hit.item, meta);
	read_count_access(thread, &hit, meta);
	return true;
}

unsigned
store_probe_get(struct store_thread *thread, const struct store_probe *probes, unsigned n, uint32_t value_max,
    struct store_found *found)
{
	unsigned hits = 0;

	for (unsigned i = 0; i < n; i++)
		hits += probe_get(thread, &probes[i], value_max, &found[i]);
	COUNT_ADD(thread, hits, hits);
	return hits;
}
