/*
 * Writing and believing superblocks. See restart.h.
 */
#include "store/restart.h"
#include "store/arena.h"
#include "store/flush.h"
#include "store/index.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define RESTART_MAGIC 0x31656863616377ull /* "wcache1" */
#define LANES         4u

enum restart_mark { MARK_NONE, MARK_RUNNING, MARK_STOPPED };

/* The books of a partition: everything from its lock on. */
#define BOOKS_OFFSET offsetof(struct partition, lock)
#define BOOKS_BYTES  (sizeof(struct partition) - BOOKS_OFFSET)

/* What lies outside of the arena while a store runs. The same in all files, but for the last three. */
struct superblock_body {
	uint64_t run;
	uint64_t memory_bytes; /* of the partition */
	uint64_t sequence, flush_sequence, epoch;
	uint64_t items, bytes; /* of the whole store */
	uint32_t partitions_len;
	uint32_t base_s, stopped_s;
	uint32_t flush_at_s, flush_generation;
	uint8_t hash_key[16];
	int32_t node;
	uint32_t index;
	_Alignas(8) uint8_t books[BOOKS_BYTES];
};

struct superblock {
	uint64_t magic;
	uint64_t layout;
	_Atomic uint32_t mark; /* enum restart_mark */
	uint32_t pid;          /* of the process that wrote it */
	uint64_t checksum;     /* over body and metadata */
	struct superblock_body body;
};
static_assert(sizeof(struct superblock) <= ARENA_SUPERBLOCK_BYTES, "a superblock fits its place");
static_assert(sizeof(struct superblock_body) % 8 == 0, "checksums take whole words");

static struct superblock *
superblock_of(const struct partition *part)
{
	return (struct superblock *)(void *)part->base;
}

void
restart_path(const char *prefix, unsigned partition, char path[RESTART_PATH_MAX])
{
	snprintf(path, RESTART_PATH_MAX, "%s.items.%u", prefix, partition);
}

struct restart *
restart_create(const struct store_config *config)
{
	struct restart *restart = calloc(1, sizeof(*restart));

	if (!restart)
		return NULL;
	restart->start = STORE_START_EMPTY;
	/* The caller's random bytes: two runs have the same number as good as never. */
	memcpy(&restart->run, config->hash_key, sizeof(restart->run));
	return restart;
}

/* ---- checksums -------------------------------------------------------------------------------- */

/*
 * CRC-32C in independent lanes, which the processor overlaps: as fast as memory is read. Against damage, not against
 * forgery: who may write the file may do anything.
 */
static uint64_t
checksum(uint64_t seed, const void *data, size_t bytes)
{
	const uint64_t *words = data;
	size_t len = bytes / sizeof(*words);
	uint64_t lane[LANES] = {seed & UINT32_MAX, seed >> 32, ~seed & UINT32_MAX, ~seed >> 32};
	size_t at = 0;

	for (; at + LANES <= len; at += LANES)
		for (unsigned i = 0; i < LANES; i++)
			lane[i] = _mm_crc32_u64(lane[i], words[at + i]);
	for (; at < len; at++)
		lane[0] = _mm_crc32_u64(lane[0], words[at]);
	return (lane[0] << 32 | lane[1]) * 0x9e3779b97f4a7c15ull + (lane[2] << 32 | lane[3]);
}

/* Everything in an arena that is not an item. */
static uint64_t
checksum_metadata(const struct partition *part, const struct superblock_body *body)
{
	const uint8_t *tables = part->base + ARENA_SUPERBLOCK_BYTES;
	uint64_t sum = checksum(part->index, body, sizeof(*body));

	sum = checksum(sum, tables, (size_t)(segment_base(part, 0) - tables));
	for (uint32_t i = 0; i < part->segments_len; i++)
		if (atomic_load_explicit(&part->segments[i].state, memory_order_relaxed) == SEGMENT_INDEX)
			sum = checksum(sum, segment_base(part, i), segment_bytes(part));
	return sum;
}

/* What two processes must agree on to read the same arena. */
static uint64_t
layout_of(const struct partition *part)
{
	const uint64_t facts[] = {RESTART_LAYOUT, sizeof(struct superblock), BOOKS_BYTES,
	    sizeof(struct segment), sizeof(struct item), sizeof(struct chunk), sizeof(struct bucket), CLASSES,
	    part->segments_len, part->segment_shift, part->first_segment_offset, part->table_shift,
	    part->homes, part->spills, part->tables_first, part->tables_max, part->tag_shift};

	return checksum(RESTART_MAGIC, facts, sizeof(facts));
}

/* ---- starting --------------------------------------------------------------------------------- */

static uint32_t
mark_of(const struct superblock *super)
{
	/* acquire pairs with mark_set(): what was written before the mark is there */
	return atomic_load_explicit(&super->mark, memory_order_acquire);
}

static void
mark_set(struct superblock *super, enum restart_mark mark)
{
	super->pid = (uint32_t)getpid();
	/* release: a process that is killed has written all that precedes, or not the mark */
	atomic_store_explicit(&super->mark, mark, memory_order_release);
}

/* Whether a file can be believed; says why not. */
static bool
file_is_whole(const struct store *store, const struct partition *part, char why[STORE_ERROR_MAX])
{
	const struct memory *memory = &part->memory;
	const struct superblock *super = superblock_of(part);
	const struct superblock_body *body = &super->body;

	if (memory->found_bytes == 0)
		snprintf(why, STORE_ERROR_MAX, "nothing was kept from before");
	else if (memory->found_bytes != memory->mapped_bytes)
		snprintf(why, STORE_ERROR_MAX, "the memory of a node was %zu MiB and is %zu MiB now",
		    memory->found_bytes >> 20, memory->mapped_bytes >> 20);
	else if (super->magic != RESTART_MAGIC)
		snprintf(why, STORE_ERROR_MAX, "the start before did not come to its end");
	else if (mark_of(super) != MARK_STOPPED)
		snprintf(why, STORE_ERROR_MAX,
		    "process %u ended without stopping in order, so its items cannot be trusted", super->pid);
	else if (super->layout != layout_of(part))
		snprintf(why, STORE_ERROR_MAX, "the items were kept by a version with another layout");
	else if (body->memory_bytes != part->bytes || body->partitions_len != store->partitions_len ||
	         body->node != part->node || body->index != part->index)
		snprintf(why, STORE_ERROR_MAX, "memory.limit or memory.nodes has changed");
	else if (body->run != superblock_of(&store->partitions[0])->body.run)
		snprintf(why, STORE_ERROR_MAX, "the files of the nodes are not of one stop");
	else if (super->checksum != checksum_metadata(part, body))
		snprintf(why, STORE_ERROR_MAX, "the index that was kept is damaged");
	else
		return true;
	return false;
}

static void
take_partition(struct partition *part)
{
	memcpy((uint8_t *)part + BOOKS_OFFSET, superblock_of(part)->body.books, BOOKS_BYTES);
	/* cache_memlimit ends with the process: memory.limit holds again. */
	atomic_store_explicit(&part->limit_len, part->segments_len, memory_order_relaxed);
}

static void
take_store(struct store *store, const struct superblock_body *body, uint32_t now_s)
{
	uint32_t back_s = body->stopped_s > now_s ? body->stopped_s - now_s : 0;

	hash_keys_init(&store->hash, body->hash_key);
	memcpy(store->hash_key, body->hash_key, sizeof(store->hash_key));
	/* A clock set back: all times move with it. */
	store->base_s = body->base_s > back_s ? body->base_s - back_s : 0;
	uint32_t flush_at_s = body->flush_at_s;
	if (flush_at_s != UINT32_MAX)
		flush_at_s = flush_at_s > back_s ? flush_at_s - back_s : 0;
	atomic_store_explicit(&store->flush_at_s, flush_at_s, memory_order_relaxed);
	atomic_store_explicit(&store->flush_sequence, body->flush_sequence, memory_order_relaxed);
	atomic_store_explicit(&store->flush_generation, body->flush_generation, memory_order_relaxed);
	store->sequence = body->sequence;
	atomic_store_explicit(&store->epoch, body->epoch, memory_order_relaxed);
	store->threads[0].counters.items_in = body->items;
	store->threads[0].counters.bytes_in = body->bytes;
	flush_when_due(store, now_s); /* its moment may have come meanwhile */
}

bool
restart_attach(struct store *store, uint32_t now_s)
{
	struct restart *restart = store->restart;
	const struct superblock_body *body = &superblock_of(&store->partitions[0])->body;

	for (unsigned p = 0; p < store->partitions_len; p++)
		if (!file_is_whole(store, &store->partitions[p], restart->why))
			return false;
	for (unsigned p = 0; p < store->partitions_len; p++)
		take_partition(&store->partitions[p]);
	take_store(store, body, now_s);
	restart->start = STORE_START_WARM;
	restart->run += body->run;
	uint32_t away_s = now_s > body->stopped_s ? now_s - body->stopped_s : 0;
	snprintf(restart->why, sizeof(restart->why), "%llu items of %llu MiB were kept for %u s",
	    (unsigned long long)body->items, (unsigned long long)body->bytes >> 20, away_s);
	return true;
}

void
restart_begin(struct store *store)
{
	struct restart *restart = store->restart;

	spin_lock(&restart->lock);
	for (unsigned p = 0; !restart->begun && p < store->partitions_len; p++) {
		struct superblock *super = superblock_of(&store->partitions[p]);
		mark_set(super, MARK_RUNNING);
		super->magic = RESTART_MAGIC;
	}
	restart->begun = true;
	spin_unlock(&restart->lock);
}

/* ---- stopping --------------------------------------------------------------------------------- */

static bool
store_is_quiet(const struct store *store)
{
	if (atomic_load_explicit(&store->registered, memory_order_acquire))
		return false;
	for (unsigned p = 0; p < store->partitions_len; p++)
		if (atomic_load_explicit(&store->partitions[p].filled, memory_order_relaxed))
			return false;
	return true;
}

/* The latest time that any thread has seen. */
static uint32_t
latest_s(const struct store *store)
{
	uint32_t latest = 0;

	for (uint32_t i = 0; i < store->threads_max; i++)
		if (store->threads[i].now_s > latest)
			latest = store->threads[i].now_s;
	return latest;
}

static void
body_of_store(const struct store *store, struct superblock_body *body)
{
	struct store_counters counters;

	store_counters_sum(store, &counters);
	memset(body, 0, sizeof(*body));
	body->run = store->restart->run;
	body->sequence = store->sequence;
	body->flush_sequence = atomic_load_explicit(&store->flush_sequence, memory_order_relaxed);
	body->epoch = atomic_load_explicit(&store->epoch, memory_order_relaxed);
	body->items = counters.items_in - counters.items_out;
	body->bytes = counters.bytes_in - counters.bytes_out;
	body->partitions_len = store->partitions_len;
	body->base_s = store->base_s;
	body->stopped_s = latest_s(store);
	body->flush_at_s = atomic_load_explicit(&store->flush_at_s, memory_order_relaxed);
	body->flush_generation = atomic_load_explicit(&store->flush_generation, memory_order_relaxed);
	memcpy(body->hash_key, store->hash_key, sizeof(body->hash_key));
}

static void
save_partition(const struct partition *part, const struct superblock_body *common)
{
	struct superblock *super = superblock_of(part);

	super->body = *common;
	super->body.memory_bytes = part->bytes;
	super->body.node = part->node;
	super->body.index = part->index;
	memcpy(super->body.books, (const uint8_t *)part + BOOKS_OFFSET, BOOKS_BYTES);
	super->magic = RESTART_MAGIC;
	super->layout = layout_of(part);
	super->checksum = checksum_metadata(part, &super->body);
}

void
restart_save(struct store *store)
{
	struct superblock_body common;

	/* Attached to and never used: the files are as they were. */
	if (!store->restart->complete ||
	    (!store->restart->begun && store->restart->start == STORE_START_WARM))
		return;
	if (!store_is_quiet(store))
		return;
	body_of_store(store, &common);
	for (unsigned p = 0; p < store->partitions_len; p++)
		save_partition(&store->partitions[p], &common);
	for (unsigned p = 0; p < store->partitions_len; p++)
		mark_set(superblock_of(&store->partitions[p]), MARK_STOPPED);
}
