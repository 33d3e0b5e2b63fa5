/*
 * Reading: views, access counting, prefetch hints and pins. The common path takes no lock and writes at most
 * the item's access second, its fetched flag and a hit counter that saturates.
 */
#include "store/alloc.h"
#include "store/index.h"
#include "store/life.h"
#include "store/read.h"
#include "store/segment.h"

uint64_t
store_hash(const struct store *store, const void *key, size_t len)
{
	return hash_bytes(&store->hash, key, len);
}

const void *
store_prefetch_bucket(const struct store *store, uint64_t hash)
{
	const struct bucket *home = index_home(partition_of(store, hash), hash);

	__builtin_prefetch(home);
	return home;
}

void
store_prefetch_item(const struct store *store, uint64_t hash, const void *place)
{
	read_prefetch_item(partition_of(store, hash), hash, place);
}

enum store_status
store_get(struct store_thread *thread, const struct store_key *key, struct store_view *view)
{
	const struct partition *part = partition_for(thread, key->hash);
	struct index_hit hit;

	uint64_t meta;
	uint32_t expiry;

	if (!read_alive(thread, index_find(part, key, &hit), &hit, &meta, &expiry))
		return STORE_NOT_FOUND;
	read_view(thread, part, hit.item, meta, expiry, view);
	read_hold(thread, part, hit.item, meta);
	read_count_access(thread, &hit, meta);
	COUNT(thread, hits);
	return STORE_OK;
}

enum store_status
store_peek(struct store_thread *thread, const struct store_key *key, struct store_view *view)
{
	const struct partition *part = partition_for(thread, key->hash);
	struct index_hit hit;

	if (!index_find(part, key, &hit))
		return STORE_NOT_FOUND;
	uint32_t expiry;
	uint64_t meta = item_moment(hit.item, &expiry);
	if (life_by(thread, meta, expiry, flush_latest(thread->store)) != ITEM_ALIVE)
		return STORE_NOT_FOUND;
	read_view(thread, part, hit.item, meta, expiry, view);
	read_hold(thread, part, hit.item, meta);
	return STORE_OK;
}

enum store_absence
store_absence(struct store_thread *thread, const struct store_key *key)
{
	struct index_hit hit;

	if (!index_find(partition_of(thread->store, key->hash), key, &hit))
		return STORE_ABSENT;
	switch (item_life(thread, hit.item, item_meta(hit.item))) {
	case ITEM_EXPIRED:
		return STORE_ABSENT_EXPIRED;
	case ITEM_FLUSHED:
		return STORE_ABSENT_FLUSHED;
	case ITEM_ALIVE:
		break;
	}
	return STORE_ABSENT;
}

uint32_t
store_view_span(
    const struct store *store, const struct store_view *view, uint32_t offset, const uint8_t **bytes)
{
	const struct partition *part = &store->partitions[view->cold_];

	*bytes = NULL;
	if (offset >= view->value_bytes)
		return 0;
	if (view->value) {
		*bytes = view->value + offset;
		return view->value_bytes - offset;
	}
	const struct item *item = view->item_;
	const struct chunk_list *list = item_chunks(item, item_meta(item));
	for (uint32_t i = 0; i < list->len; i++) {
		uint32_t len = chunk_entry_bytes(list->entry[i]);
		if (offset < len) {
			const struct chunk *chunk =
			    location_pointer(part, chunk_entry_location(list->entry[i]));
			*bytes = chunk->data + offset;
			return len - offset;
		}
		offset -= len;
	}
	return 0;
}
