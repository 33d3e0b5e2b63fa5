/*
 * See prefixes.h. A table is an array of prefixes in order of appearance, and an open-addressed index of twice as many
 * places over it. Nothing is ever taken out but everything at once, so looking up ends at the first empty place.
 *
 * Forgetting is a new generation: each thread empties its own table when it counts next, and says so; readers pass over
 * tables of another generation, and begin again when it changes under them.
 */
#include "dataplane/prefixes.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/publish.h"

#define PLACES     (2u * PREFIXES_MAX)
#define SUM_TRIES  4u /* somebody who forgets all the time gets an empty answer */
#define LINE_BYTES 64u

_Static_assert(PREFIXES_MAX < UINT16_MAX, "an entry's number fits a place");

struct name {
	uint64_t hash;
	uint32_t len;
	uint8_t bytes[PREFIX_BYTES_MAX];
};

struct entry {
	PUBLISHED(struct name) name;
	_Atomic uint64_t count[PREFIX_EVENTS];
};

struct entries {
	_Atomic uint32_t len;
	uint16_t place[PLACES]; /* the owner's: number of the entry + 1; 0: free */
	struct entry entry[PREFIXES_MAX];
};

struct prefix_table {
	_Alignas(LINE_BYTES) const struct prefixes *prefixes;
	_Atomic(struct entries *) entries; /* NULL until the first count */
	_Atomic uint32_t generation;       /* of what is in it */
	struct prefix_table *next;
};

struct prefixes {
	_Atomic bool enabled;
	_Atomic uint32_t generation;
	_Atomic(struct prefix_table *) tables; /* grows at its head */
};

/* What a reader adds up. */
struct sum {
	uint32_t len;
	uint16_t place[PLACES];
	struct prefix entry[PREFIXES_MAX];
};

/* ---- life ------------------------------------------------------------------------------------- */

struct prefixes *
prefixes_create(void)
{
	return calloc(1, sizeof(struct prefixes));
}

void
prefixes_destroy(struct prefixes *prefixes)
{
	struct prefix_table *table, *next;

	if (prefixes == NULL)
		return;
	for (table = prefixes->tables; table != NULL; table = next) {
		next = table->next;
		free(table->entries);
		free(table);
	}
	free(prefixes);
}

void
prefixes_enable(struct prefixes *prefixes, bool enabled)
{
	atomic_store_explicit(&prefixes->enabled, enabled, memory_order_relaxed);
}

bool
prefixes_enabled(const struct prefixes *prefixes)
{
	return atomic_load_explicit(&prefixes->enabled, memory_order_relaxed);
}

struct prefix_table *
prefixes_join(struct prefixes *prefixes)
{
	struct prefix_table *table = aligned_alloc(LINE_BYTES, sizeof(*table));

	if (table == NULL)
		return NULL;
	memset(table, 0, sizeof(*table));
	table->prefixes = prefixes;
	table->next = atomic_load_explicit(&prefixes->tables, memory_order_relaxed);
	/* release: the table; pairs with the acquire of prefixes_sum() */
	while (!atomic_compare_exchange_weak_explicit(
	    &prefixes->tables, &table->next, table, memory_order_release, memory_order_relaxed))
		continue;
	return table;
}

/* ---- counting --------------------------------------------------------------------------------- */

uint32_t
prefix_len(const uint8_t *key, uint32_t key_len)
{
	const uint8_t *end = memchr(key, PREFIX_DELIMITER, key_len);

	return end != NULL ? (uint32_t)(end - key) : UINT32_MAX;
}

static bool
is_named(const struct entry *entry, uint64_t hash, const uint8_t *bytes, uint32_t len)
{
	struct name name;

	_Static_assert(offsetof(struct name, hash) == 0, "the first word is the hash");
	return atomic_load_explicit(&entry->name.words[0], memory_order_relaxed) == hash &&
	       PUBLISHED_READ(&entry->name, &name) && name.len == len && memcmp(name.bytes, bytes, len) == 0;
}

/* The entry of a prefix, a new one if need be; NULL: full. */
static struct entry *
entry_of(struct entries *entries, uint64_t hash, const uint8_t *bytes, uint32_t len)
{
	uint32_t entries_len = atomic_load_explicit(&entries->len, memory_order_relaxed);
	uint32_t at = (uint32_t)(hash % PLACES);
	struct name name = {.hash = hash, .len = len};
	struct entry *entry;

	/* Ends: half of the places are free at least. */
	for (; entries->place[at] != 0; at = (at + 1) % PLACES) {
		entry = &entries->entry[entries->place[at] - 1];
		if (is_named(entry, hash, bytes, len))
			return entry;
	}
	if (entries_len == PREFIXES_MAX)
		return NULL;
	entry = &entries->entry[entries_len];
	entries->place[at] = (uint16_t)(entries_len + 1);
	memcpy(name.bytes, bytes, len);
	PUBLISH(&entry->name, &name);
	for (unsigned event = 0; event < PREFIX_EVENTS; event++)
		atomic_store_explicit(&entry->count[event], 0, memory_order_relaxed);
	/* release: the entry; pairs with add_up() */
	atomic_store_explicit(&entries->len, entries_len + 1, memory_order_release);
	return entry;
}

/* The entries of this generation; NULL: no memory. */
static struct entries *
current_entries(struct prefix_table *table)
{
	struct entries *entries = atomic_load_explicit(&table->entries, memory_order_relaxed);
	uint32_t generation = atomic_load_explicit(&table->prefixes->generation, memory_order_acquire);

	if (entries == NULL) {
		entries = calloc(1, sizeof(*entries));
		/* release: its zeros; pairs with prefixes_sum() */
		atomic_store_explicit(&table->entries, entries, memory_order_release);
	}
	if (entries == NULL || atomic_load_explicit(&table->generation, memory_order_relaxed) == generation)
		return entries;
	/* release: who sees any of what follows sees the new generation too; pairs with prefixes_sum() */
	atomic_thread_fence(memory_order_release);
	atomic_store_explicit(&entries->len, 0, memory_order_relaxed);
	memset(entries->place, 0, sizeof(entries->place));
	/* release: it is empty; pairs with add_up() */
	atomic_store_explicit(&table->generation, generation, memory_order_release);
	return entries;
}

bool
prefixes_count(
    struct prefix_table *table, uint64_t hash, const uint8_t *prefix, uint32_t len, enum prefix_event event)
{
	struct entries *entries = len <= PREFIX_BYTES_MAX ? current_entries(table) : NULL;
	struct entry *entry = entries != NULL ? entry_of(entries, hash, prefix, len) : NULL;

	if (entry == NULL)
		return false;
	atomic_store_explicit(&entry->count[event],
	    atomic_load_explicit(&entry->count[event], memory_order_relaxed) + 1, memory_order_relaxed);
	return true;
}

void
prefixes_reset(struct prefixes *prefixes)
{
	atomic_fetch_add_explicit(&prefixes->generation, 1, memory_order_acq_rel);
}

/* ---- reading ---------------------------------------------------------------------------------- */

static struct prefix *
sum_entry_of(struct sum *sum, const struct name *name)
{
	uint32_t at = (uint32_t)(name->hash % PLACES);
	struct prefix *entry;

	for (; sum->place[at] != 0; at = (at + 1) % PLACES) {
		entry = &sum->entry[sum->place[at] - 1];
		if (entry->hash == name->hash && entry->len == name->len &&
		    memcmp(entry->bytes, name->bytes, name->len) == 0)
			return entry;
	}
	if (sum->len == PREFIXES_MAX)
		return NULL;
	entry = &sum->entry[sum->len++];
	sum->place[at] = (uint16_t)sum->len;
	*entry = (struct prefix){.hash = name->hash, .len = name->len};
	memcpy(entry->bytes, name->bytes, name->len);
	return entry;
}

static void
add_up(struct sum *sum, const struct prefix_table *table, uint32_t generation)
{
	const struct entries *entries = atomic_load_explicit(&table->entries, memory_order_acquire);
	struct name name;
	uint32_t len;

	if (entries == NULL || atomic_load_explicit(&table->generation, memory_order_acquire) != generation)
		return;
	len = atomic_load_explicit(&entries->len, memory_order_acquire);
	for (uint32_t i = 0; i < len; i++) {
		const struct entry *from = &entries->entry[i];
		struct prefix *to = PUBLISHED_READ(&from->name, &name) && name.len <= PREFIX_BYTES_MAX
		                        ? sum_entry_of(sum, &name)
		                        : NULL;

		for (unsigned event = 0; to != NULL && event < PREFIX_EVENTS; event++)
			to->count[event] += atomic_load_explicit(&from->count[event], memory_order_relaxed);
	}
}

/* False: all was forgotten meanwhile. */
static bool
add_up_all(struct sum *sum, const struct prefixes *prefixes)
{
	uint32_t generation = atomic_load_explicit(&prefixes->generation, memory_order_acquire);
	const struct prefix_table *table = atomic_load_explicit(&prefixes->tables, memory_order_acquire);

	for (; table != NULL; table = table->next)
		add_up(sum, table, generation);
	/* acquire: pairs with the fence of who empties a table */
	atomic_thread_fence(memory_order_acquire);
	return atomic_load_explicit(&prefixes->generation, memory_order_relaxed) == generation;
}

struct prefix *
prefixes_sum(const struct prefixes *prefixes, uint32_t *len)
{
	struct sum *sum = calloc(1, sizeof(*sum));
	struct prefix *copy = NULL;
	bool whole = false;

	*len = 0;
	for (unsigned try = 0; sum != NULL && !whole && try < SUM_TRIES; try++) {
		if (try > 0)
			memset(sum, 0, sizeof(*sum));
		whole = add_up_all(sum, prefixes);
	}
	if (whole && sum->len != 0)
		copy = malloc(sum->len * sizeof(*copy));
	if (copy != NULL) {
		memcpy(copy, sum->entry, sum->len * sizeof(*copy));
		*len = sum->len;
	}
	free(sum);
	return copy;
}
