/*
 * Creating, destroying and describing a store.
 */
#include "store/arena.h"
#include "store/index.h"
#include "store/life.h"
#include "store/restart.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define MEMORY_BYTES_MIN    (8u << 20)
#define PARTITION_BYTES_MIN (4u << 20)
#define PARTITION_BYTES_MAX ((size_t)8 << LOCATION_BITS)
#define NODE_BYTES_MAX      (PARTITION_BYTES_MAX * PARTITIONS_MAX / STORE_NODES_MAX)
#define ITEM_BYTES_MIN      1024u
#define ITEM_BYTES_MAX      (1u << 30)
/* An item may take a quarter of a partition: more could not be replaced while it is there. */
#define ITEM_PART           4u

void
store_config_default(struct store_config *config)
{
	*config = (struct store_config){.memory_bytes = 64u << 20,
	    .item_max_bytes = 1u << 20,
	    .threads_max = STORE_THREADS_MAX,
	    .nodes = {-1},
	    .nodes_len = 0,
	    .hugepages = true,
	    .evict = true,
	    .cas = true};
}

static const char *
config_check(const struct store_config *config)
{
	unsigned parts = config->nodes_len ? config->nodes_len : 1;

	if (parts > STORE_NODES_MAX)
		return "more NUMA nodes than supported";
	if (config->threads_max < 1 || config->threads_max > STORE_THREADS_MAX)
		return "the number of threads must be 1 to 64";
	if (config->memory_bytes < MEMORY_BYTES_MIN || config->memory_bytes / parts < PARTITION_BYTES_MIN)
		return "memory must be at least 8 MiB, and 4 MiB a node";
	if (config->memory_bytes / parts > NODE_BYTES_MAX)
		return "memory must be at most 256 GiB a node";
	if (config->item_max_bytes < ITEM_BYTES_MIN || config->item_max_bytes > ITEM_BYTES_MAX)
		return "the largest item must be 1 KiB to 1 GiB";
	if (config->item_max_bytes > config->memory_bytes / parts / ITEM_PART)
		return "the largest item must be at most a quarter of the memory of a node";
	if (config->restart_path && strlen(config->restart_path) >= STORE_RESTART_PATH_MAX)
		return "the path of the files for a restart is too long";
	return NULL;
}

static unsigned
partitions_of_node(const struct store_config *config)
{
	size_t bytes = config->memory_bytes / (config->nodes_len ? config->nodes_len : 1);
	return (unsigned)((bytes + PARTITION_BYTES_MAX - 1) / PARTITION_BYTES_MAX);
}

static struct store *
store_allocate(const struct store_config *config)
{
	struct store *store = aligned_alloc(STORE_LINE_BYTES, sizeof(*store));
	unsigned parts = (config->nodes_len ? config->nodes_len : 1) * partitions_of_node(config);

	if (!store)
		return NULL;
	memset(store, 0, sizeof(*store));
	store->partitions = aligned_alloc(STORE_LINE_BYTES, parts * sizeof(*store->partitions));
	store->threads = aligned_alloc(STORE_LINE_BYTES, config->threads_max * sizeof(*store->threads));
	if (!store->partitions || !store->threads) {
		free(store->partitions);
		free(store->threads);
		free(store);
		return NULL;
	}
	memset(store->partitions, 0, parts * sizeof(*store->partitions));
	memset(store->threads, 0, config->threads_max * sizeof(*store->threads));
	store->partitions_len = parts;
	store->threads_max = config->threads_max;
	return store;
}

static void
store_configure(struct store *store, const struct store_config *config)
{
	hash_keys_init(&store->hash, config->hash_key);
	memcpy(store->hash_key, config->hash_key, sizeof(store->hash_key));
	store->base_s = config->now_s ? config->now_s - 1 : 0;
	store->item_max_bytes = config->item_max_bytes;
	store->limit_bytes = store->reserved_bytes = config->memory_bytes;
	store->evict = config->evict;
	store->cas = config->cas;
	atomic_store_explicit(&store->epoch, 1, memory_order_relaxed);
	store->sequence = 1;
	atomic_store_explicit(&store->flush_at_s, UINT32_MAX, memory_order_relaxed);
}

static void
threads_configure(struct store *store, uint32_t now_s)
{
	for (uint32_t i = 0; i < store->threads_max; i++) {
		struct store_thread *thread = &store->threads[i];
		thread->store = store;
		thread->id = i;
		thread->sequence_block = SEQUENCE_BLOCK_MIN;
		thread->now_s = now_s;
		thread->now_expiry = now_s > store->base_s ? now_s - store->base_s : 1;
	}
}

/* The same for each, in whole hugepages, so that together they never take more than the limit. */
static size_t
partition_bytes(const struct store *store, const struct store_config *config)
{
	size_t each = config->memory_bytes / store->partitions_len;
	return each & ~(MEMORY_PAGE_BYTES - 1);
}

static int
partitions_map(struct store *store, const struct store_config *config, char error[STORE_ERROR_MAX])
{
	char path[RESTART_PATH_MAX];

	for (unsigned p = 0; p < store->partitions_len; p++) {
		struct memory_wish wish = {.bytes = partition_bytes(store, config),
		    .node = config->nodes_len ? config->nodes[p / partitions_of_node(config)] : -1,
		    .hugepages = config->hugepages,
		    .path = config->restart_path ? path : NULL};
		if (wish.path)
			restart_path(config->restart_path, p, path);
		int rc = arena_map(&store->partitions[p], p, &wish, error);
		if (rc != 0)
			return rc;
	}
	return 0;
}

static int
partitions_fill(struct store *store, const struct store_config *config, char error[STORE_ERROR_MAX])
{
	if (store->restart && restart_attach(store, config->now_s))
		return 0;
	for (unsigned p = 0; p < store->partitions_len; p++) {
		int rc = arena_format(&store->partitions[p], error);
		if (rc != 0)
			return rc;
	}
	return 0;
}

/* Files of partitions that are no more would hold memory for nothing. */
static unsigned
files_forget(const char *prefix, unsigned first)
{
	char path[RESTART_PATH_MAX];
	unsigned removed = 0;

	for (unsigned p = first; p < PARTITIONS_MAX; p++) {
		restart_path(prefix, p, path);
		removed += memory_remove(path);
	}
	return removed;
}

unsigned
store_restart_forget(const char *prefix)
{
	return strlen(prefix) < STORE_RESTART_PATH_MAX ? files_forget(prefix, 0) : 0;
}

static int
store_fill(struct store *store, const struct store_config *config, char error[STORE_ERROR_MAX])
{
	if (config->restart_path) {
		store->restart = restart_create(config);
		if (!store->restart) {
			snprintf(error, STORE_ERROR_MAX, "out of memory");
			return -ENOMEM;
		}
		files_forget(config->restart_path, store->partitions_len);
	}
	int rc = partitions_map(store, config, error);
	if (rc == 0)
		rc = partitions_fill(store, config, error);
	if (rc == 0 && store->restart)
		store->restart->complete = true;
	return rc;
}

int
store_create(const struct store_config *config, struct store **out, char error[STORE_ERROR_MAX])
{
	const char *wrong = config_check(config);

	*out = NULL;
	error[0] = 0;
	if (wrong) {
		snprintf(error, STORE_ERROR_MAX, "%s", wrong);
		return -EINVAL;
	}
	struct store *store = store_allocate(config);
	if (!store) {
		snprintf(error, STORE_ERROR_MAX, "out of memory");
		return -ENOMEM;
	}
	store_configure(store, config);
	int rc = store_fill(store, config, error);
	if (rc != 0) {
		store_destroy(store);
		return rc;
	}
	threads_configure(store, config->now_s);
	*out = store;
	return 0;
}

void
store_destroy(struct store *store)
{
	if (!store)
		return;
	if (store->restart)
		restart_save(store);
	for (unsigned p = 0; p < store->partitions_len; p++)
		arena_unmap(&store->partitions[p]);
	free(store->restart);
	for (uint32_t i = 0; i < store->threads_max; i++)
		for (unsigned p = 0; p < store->partitions_len; p++) {
			free(store->threads[i].open[p]);
			free(atomic_load_explicit(&store->threads[i].pins[p], memory_order_relaxed));
		}
	free(store->threads);
	free(store->partitions);
	free(store);
}

int
store_set_memory_limit(struct store *store, size_t memory_bytes)
{
	size_t each = memory_bytes / store->partitions_len;

	if (memory_bytes < MEMORY_BYTES_MIN || each < PARTITION_BYTES_MIN)
		return -EINVAL;
	if (memory_bytes > store->reserved_bytes)
		return -ENOMEM;
	for (unsigned p = 0; p < store->partitions_len; p++) {
		struct partition *part = &store->partitions[p];
		size_t segments = (each < part->bytes ? each : part->bytes) >> part->segment_shift;
		/* relaxed: writers see it when they next look for a segment */
		atomic_store_explicit(
		    &part->limit_len, (uint32_t)segments - part->first_segment_offset, memory_order_relaxed);
	}
	__atomic_store_n(&store->limit_bytes, memory_bytes, __ATOMIC_RELAXED);
	return 0;
}

void
store_counters_sum(const struct store *store, struct store_counters *sum)
{
	memset(sum, 0, sizeof(*sum));
	for (uint32_t i = 0; i < store->threads_max; i++) {
		const struct store_counters *each = &store->threads[i].counters;
#define STORE_COUNTER(name, help) sum->name += __atomic_load_n(&each->name, __ATOMIC_RELAXED);
#include "store/counters.def"
#undef STORE_COUNTER
	}
}

/* What came less what went; never below zero, though the two are read at different moments. */
static uint64_t
left(uint64_t in, uint64_t out)
{
	return in > out ? in - out : 0;
}

void
store_info_get(const struct store *store, struct store_info *info)
{
	struct store_counters counters;

	store_counters_sum(store, &counters);
	*info = (struct store_info){.limit_bytes = __atomic_load_n(&store->limit_bytes, __ATOMIC_RELAXED),
	    .segment_bytes = segment_bytes(&store->partitions[0]),
	    .items = left(counters.items_in, counters.items_out),
	    .bytes = left(counters.bytes_in, counters.bytes_out),
	    .partitions = store->partitions_len,
	    .hugepages = true,
	    .bound = true,
	    .start = store->restart ? store->restart->start : STORE_START_PLAIN,
	    .start_why = store->restart ? store->restart->why : ""};
	for (unsigned p = 0; p < store->partitions_len; p++) {
		const struct partition *part = &store->partitions[p];
		uint64_t index = atomic_load_explicit(&part->index_segments, memory_order_relaxed);
		info->index_bytes += index << part->segment_shift;
		info->segments += part->segments_len;
		info->segments_free += atomic_load_explicit(&part->free_len, memory_order_relaxed);
		info->hugepages = info->hugepages && part->memory.hugepages;
		info->bound = info->bound && part->memory.bound;
	}
}
