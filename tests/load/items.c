/*
 * The versions of items, see items.h.
 */
#include "tests/load/items.h"

#include "tests/load/memory.h"

bool
items_init(struct items *items, uint32_t keys, bool versioned)
{
	items->keys = keys;
	items->versions = versioned ? load_memory(keys * sizeof(*items->versions)) : NULL;
	return !versioned || items->versions != NULL;
}

void
items_free(struct items *items)
{
	load_memory_free(items->versions, items->keys * sizeof(*items->versions));
	items->versions = NULL;
}

uint32_t
item_change(struct items *items, uint32_t key)
{
	if (items->versions == NULL)
		return ITEMS_UNVERSIONED;
	struct item_versions *versions = &items->versions[key];
	uint32_t sent = atomic_load_explicit(&versions->sent, memory_order_relaxed);
	if (sent & ITEMS_BUSY)
		return 0;
	uint32_t version = (sent + 1) & ~ITEMS_BUSY;
	atomic_store_explicit(&versions->sent, version | ITEMS_BUSY, memory_order_relaxed);
	return version;
}

void
item_changed(struct items *items, uint32_t key, uint32_t version, bool applied)
{
	if (items->versions == NULL)
		return;
	struct item_versions *versions = &items->versions[key];
	atomic_store_explicit(&versions->sent, version, memory_order_relaxed);
	if (applied)
		atomic_store_explicit(&versions->stored, version, memory_order_relaxed);
}
