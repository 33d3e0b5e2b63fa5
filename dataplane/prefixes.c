/*
 * See prefixes.h. A table is an array of prefixes in order of appearance, and an open-addressed index of twice as many
 * places over it. Nothing is ever taken out but everything at once, so looking up ends at the first empty place.
 */
#include "dataplane/prefixes.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define PLACES     (2u * PREFIXES_MAX)
#define SPINS_MAX  1000u /* before the processor is left to whoever holds the lock */
#define LINE_BYTES 64u

_Static_assert(PREFIXES_MAX < UINT16_MAX, "an entry's number fits a place");

struct entries {
	uint32_t len;
	uint16_t place[PLACES]; /* number of the entry + 1; 0: free */
	struct prefix entry[PREFIXES_MAX];
};

struct prefix_table {
	_Alignas(LINE_BYTES) atomic_flag lock;
	struct entries *entries; /* NULL until the first count */
	struct prefix_table *next;
};

struct prefixes {
	_Atomic bool enabled;
	pthread_mutex_t tables_lock; /* taken by who joins and who reads, never by who counts */
	struct prefix_table *tables;
};

static void
table_lock(struct prefix_table *table)
{
	unsigned spins = 0;

	/* acquire pairs with table_unlock() */
	while (atomic_flag_test_and_set_explicit(&table->lock, memory_order_acquire))
		if (++spins > SPINS_MAX)
			sched_yield();
}

static void
table_unlock(struct prefix_table *table)
{
	atomic_flag_clear_explicit(&table->lock, memory_order_release);
}

/* ---- life ------------------------------------------------------------------------------------- */

struct prefixes *
prefixes_create(void)
{
	struct prefixes *prefixes = calloc(1, sizeof(*prefixes));

	if (prefixes != NULL)
		pthread_mutex_init(&prefixes->tables_lock, NULL);
	return prefixes;
}

void
prefixes_destroy(struct prefixes *prefixes)
{
	struct prefix_table *table;

	if (prefixes == NULL)
		return;
	while ((table = prefixes->tables) != NULL) {
		prefixes->tables = table->next;
		free(table->entries);
		free(table);
	}
	pthread_mutex_destroy(&prefixes->tables_lock);
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
	atomic_flag_clear(&table->lock);
	pthread_mutex_lock(&prefixes->tables_lock);
	table->next = prefixes->tables;
	prefixes->tables = table;
	pthread_mutex_unlock(&prefixes->tables_lock);
	return table;
}

/* ---- counting --------------------------------------------------------------------------------- */

uint32_t
prefix_len(const uint8_t *key, uint32_t key_len)
{
	const uint8_t *end = memchr(key, PREFIX_DELIMITER, key_len);

	return end != NULL ? (uint32_t)(end - key) : UINT32_MAX;
}

/* The entry of a prefix, a new one if need be; NULL: full. */
static struct prefix *
entry_of(struct entries *entries, uint64_t hash, const uint8_t *bytes, uint32_t len)
{
	struct prefix *entry;
	uint32_t at = (uint32_t)(hash % PLACES);

	/* Ends: half of the places are free at least. */
	for (; entries->place[at] != 0; at = (at + 1) % PLACES) {
		entry = &entries->entry[entries->place[at] - 1];
		if (entry->hash == hash && entry->len == len && memcmp(entry->bytes, bytes, len) == 0)
			return entry;
	}
	if (entries->len == PREFIXES_MAX)
		return NULL;
	entry = &entries->entry[entries->len++];
	entries->place[at] = (uint16_t)entries->len;
	memset(entry->count, 0, sizeof(entry->count));
	entry->hash = hash;
	entry->len = len;
	memcpy(entry->bytes, bytes, len);
	return entry;
}

bool
prefixes_count(
    struct prefix_table *table, uint64_t hash, const uint8_t *prefix, uint32_t len, enum prefix_event event)
{
	struct prefix *entry = NULL;

	if (len > PREFIX_BYTES_MAX)
		return false;
	table_lock(table);
	if (table->entries == NULL)
		table->entries = calloc(1, sizeof(*table->entries));
	if (table->entries != NULL)
		entry = entry_of(table->entries, hash, prefix, len);
	if (entry != NULL)
		entry->count[event]++;
	table_unlock(table);
	return entry != NULL;
}

void
prefixes_reset(struct prefixes *prefixes)
{
	pthread_mutex_lock(&prefixes->tables_lock);
	for (struct prefix_table *table = prefixes->tables; table != NULL; table = table->next) {
		table_lock(table);
		if (table->entries != NULL) {
			table->entries->len = 0;
			memset(table->entries->place, 0, sizeof(table->entries->place));
		}
		table_unlock(table);
	}
	pthread_mutex_unlock(&prefixes->tables_lock);
}

/* ---- reading ---------------------------------------------------------------------------------- */

static void
add_up(struct entries *sum, const struct entries *from)
{
	for (uint32_t i = 0; i < from->len; i++) {
		const struct prefix *entry = &from->entry[i];
		struct prefix *to = entry_of(sum, entry->hash, entry->bytes, entry->len);

		for (unsigned event = 0; to != NULL && event < PREFIX_EVENTS; event++)
			to->count[event] += entry->count[event];
	}
}

struct prefix *
prefixes_sum(struct prefixes *prefixes, uint32_t *len)
{
	struct entries *sum = calloc(1, sizeof(*sum));
	struct prefix *copy = NULL;

	*len = 0;
	if (sum == NULL)
		return NULL;
	pthread_mutex_lock(&prefixes->tables_lock);
	for (struct prefix_table *table = prefixes->tables; table != NULL; table = table->next) {
		table_lock(table);
		if (table->entries != NULL)
			add_up(sum, table->entries);
		table_unlock(table);
	}
	pthread_mutex_unlock(&prefixes->tables_lock);
	if (sum->len != 0)
		copy = malloc(sum->len * sizeof(*copy));
	if (copy != NULL) {
		memcpy(copy, sum->entry, sum->len * sizeof(*copy));
		*len = sum->len;
	}
	free(sum);
	return copy;
}
